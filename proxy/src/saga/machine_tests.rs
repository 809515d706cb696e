//! Walks every path of the machine: all inputs that each effect can lead to, to the end.

use super::*;

/// What the world can answer to an effect.
fn answers(effect: Effect) -> &'static [Input] {
    use Input as I;
    match effect {
        Effect::Reserve => &[I::Done, I::Short, I::OrderExists, I::Unclear],
        Effect::Prepare => &[I::Done, I::Short, I::Unclear],
        Effect::Record => &[I::Done, I::KeyTaken, I::OrderExists, I::Unclear],
        Effect::Pay => &[I::Captured, I::Declined, I::Refunded, I::Unclear],
        Effect::Ask { .. } => &[
            I::Captured,
            I::Declined,
            I::Refunded,
            I::StillPending,
            I::NeverPaid,
            I::Unclear,
        ],
        Effect::Commit => &[I::Done, I::StockRefused, I::LostRace, I::Unclear],
        Effect::Confirm | Effect::Refund | Effect::Release | Effect::Settle => {
            &[I::Done, I::Unclear]
        }
        Effect::Abort(_) => &[I::Done, I::LostRace, I::Unclear],
        Effect::Answer(_) => &[],
    }
}

/// One path so far, as an observer who knows nothing of states would tell it.
#[derive(Clone, Default)]
struct History {
    done: Vec<(Effect, Input)>,
    answers: Vec<Answer>,
}

impl History {
    fn has(&self, wanted: Effect, input: Input) -> bool {
        self.done.contains(&(wanted, input))
    }

    fn was_aborted(&self) -> bool {
        self.done
            .iter()
            .any(|(effect, input)| matches!(effect, Effect::Abort(_)) && *input == Input::Done)
    }

    fn captured(&self) -> bool {
        self.done.iter().any(|(_, input)| *input == Input::Captured)
    }

    fn committed(&self) -> bool {
        // A lost race of an abort means that somebody else committed.
        self.has(Effect::Commit, Input::Done)
            || self.done.iter().any(|(effect, input)| {
                matches!(effect, Effect::Abort(_)) && *input == Input::LostRace
            })
    }
}

/// Calls `check` with every complete path that begins with `step`.
fn walk(step: &Step, history: &History, check: &mut impl FnMut(State, &History)) {
    let mut history = history.clone();
    let mut last = None;
    for effect in &step.effects {
        match effect {
            Effect::Answer(answer) => history.answers.push(*answer),
            effect => last = Some(*effect),
        }
    }
    assert!(
        history.done.len() < 64,
        "a path without an end: {:?}",
        history.done
    );
    if step.state.is_at_rest() {
        assert_eq!(last, None, "an effect whose result nobody waits for");
        return check(step.state, &history);
    }
    let effect = last.expect("a state that waits has an effect to wait for");
    for input in answers(effect) {
        let mut longer = history.clone();
        longer.done.push((effect, *input));
        walk(&next(step.state, *input), &longer, check);
    }
}

fn every_path(check: impl FnMut(State, &History)) -> usize {
    let mut paths = 0;
    let mut check = check;
    let mut counting = |state, history: &History| {
        paths += 1;
        check(state, history);
    };
    for start in [begin(), begin_with_hold(), resume(false), resume(true)] {
        walk(&start, &History::default(), &mut counting);
    }
    paths
}

#[test]
fn whoever_asked_is_told_exactly_once() {
    let paths = every_path(|_, history| assert_eq!(history.answers.len(), 1, "{:?}", history.done));
    assert!(paths > 100, "only {paths} paths were walked");
}

#[test]
fn confirmed_is_only_said_of_a_committed_order() {
    every_path(|_, history| {
        let resumed_committed = history
            .done
            .first()
            .is_some_and(|(effect, _)| *effect == Effect::Confirm);
        if history.answers.contains(&Answer::Confirmed) {
            assert!(
                history.committed() || resumed_committed,
                "{:?}",
                history.done
            );
        }
    });
}

#[test]
fn money_for_nothing_is_given_back_or_left_to_recovery() {
    every_path(|state, history| {
        if history.captured() && !history.committed() && state == State::Finished {
            assert!(
                history.has(Effect::Refund, Input::Done),
                "{:?}",
                history.done
            );
        }
    });
}

#[test]
fn a_recorded_order_that_ends_unsold_was_aborted_before_its_holds_went() {
    every_path(|state, history| {
        let recorded = history.has(Effect::Record, Input::Done);
        if recorded && state == State::Finished && !history.committed() {
            assert!(history.was_aborted(), "{:?}", history.done);
        }
        let released = history
            .done
            .iter()
            .position(|(effect, _)| *effect == Effect::Release);
        let aborted = history
            .done
            .iter()
            .position(|(effect, _)| matches!(effect, Effect::Abort(_)));
        if let (true, Some(released)) = (recorded, released) {
            assert!(
                aborted.is_some_and(|aborted| aborted < released),
                "{:?}",
                history.done
            );
        }
    });
}

#[test]
fn a_committed_order_is_never_released_or_refunded() {
    every_path(|_, history| {
        let committed = history
            .done
            .iter()
            .position(|done| *done == (Effect::Commit, Input::Done));
        if let Some(committed) = committed {
            let undone = |done: &(Effect, Input)| {
                matches!(done.0, Effect::Release | Effect::Refund | Effect::Abort(_))
            };
            assert!(
                !history.done[committed..].iter().any(undone),
                "{:?}",
                history.done
            );
        }
    });
}

#[test]
fn nothing_is_paid_before_the_holds_are_prepared() {
    every_path(|_, history| {
        let paid = history
            .done
            .iter()
            .position(|(effect, _)| *effect == Effect::Pay);
        if let Some(paid) = paid {
            assert!(
                history.done[..paid].contains(&(Effect::Prepare, Input::Done)),
                "{:?}",
                history.done
            );
        }
    });
}

#[test]
fn a_checkout_hold_outlives_a_confirmation_that_recorded_nothing() {
    let mut check = |_, history: &History| {
        let recorded = history.done.iter().any(|(effect, input)| {
            *effect == Effect::Record && matches!(input, Input::Done | Input::Unclear)
        });
        let released = history
            .done
            .iter()
            .any(|(effect, _)| *effect == Effect::Release);
        // Confirmations have no key, so the way over KeyTaken is not theirs.
        let keyed = history.has(Effect::Record, Input::KeyTaken);
        assert!(recorded || keyed || !released, "{:?}", history.done);
    };
    walk(&begin_with_hold(), &History::default(), &mut check);
}

#[test]
fn an_answer_that_makes_no_sense_leaves_the_saga_to_recovery() {
    let step = next(State::Reserving, Input::Captured);
    assert_eq!(
        step,
        Step {
            state: State::Left,
            effects: vec![Effect::Answer(Answer::Pending)]
        }
    );
}
