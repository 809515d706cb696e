//! Walks every path of the machine: all inputs that each effect can lead to, to the end. Paths
//! that have come to the same state with the same facts behind them go on as one.

use std::collections::HashSet;

use super::*;

type Machine = fn(State, Input) -> Step;

/// The machine with one step of it replaced.
macro_rules! doctored {
    ($($state:pat, $input:pat => $step:expr),+) => {
        |state: State, input: Input| match (state, input) {
            $(($state, $input) => $step,)+
            _ => next(state, input),
        }
    };
}

/// What has happened on a path so far, as an observer would note it who knows nothing of states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Facts {
    somebody_listens: bool,
    is_checkout_hold: bool,
    is_recovered: bool,
    may_be_recorded: bool,
    prepared: bool,
    money_taken: bool,
    committed: bool,
    cart_emptied: bool,
    aborted: bool,
    cancelled: bool,
    let_go: bool,
    returned: u8,
    refunds: u8,
    refund: Option<Input>,
    answers: u8,
    broken: Option<&'static str>,
}

impl Facts {
    /// Notes what breaks a rule, the first time.
    fn demand(&mut self, holds: bool, rule: &'static str) {
        if !holds {
            self.broken.get_or_insert(rule);
        }
    }

    fn is_sold(&self) -> bool {
        self.committed && !self.cancelled
    }

    fn money_is_back(&self) -> bool {
        self.refund.is_some()
    }

    /// The rules of what may be done, and when.
    fn before(&mut self, effect: Effect) {
        let facts = *self;
        match effect {
            Effect::Authorise => self.demand(
                facts.prepared || facts.is_recovered,
                "nothing is paid before it is prepared",
            ),
            Effect::Commit => self.demand(facts.money_taken, "nothing is sold before it is paid"),
            Effect::Confirm => self.demand(facts.committed, "a sale is told before it is made"),
            Effect::EmptyCart => self.demand(facts.is_sold(), "a cart is emptied for no sale"),
            Effect::Abort(_) => self.demand(!facts.committed, "a sold order is called off"),
            Effect::Release => {
                self.demand(!facts.committed, "a sale's units are given back");
                self.demand(
                    facts.aborted || !facts.may_be_recorded,
                    "a recorded order's units are given back before it is called off",
                );
                self.demand(
                    !facts.is_checkout_hold || facts.may_be_recorded,
                    "a checkout hold ends with a confirmation that recorded nothing",
                );
            }
            Effect::Cancel(_) => self.demand(facts.committed, "what is not sold is cancelled"),
            Effect::Return => self.demand(facts.cancelled, "a standing sale's units come back"),
            Effect::Refund => {
                self.demand(!facts.is_sold(), "a standing sale's money is given back");
                self.demand(
                    facts.let_go || facts.returned > 0,
                    "money goes back before the units",
                );
                self.refunds += 1;
            }
            Effect::RecordRefund => self.demand(
                facts.refund == Some(Input::Refunded),
                "a refund is told that was not made",
            ),
            Effect::Park => self.demand(
                facts.refund == Some(Input::Refused),
                "what is only unclear is parked",
            ),
            Effect::Settle(End::Sold) => {
                self.demand(facts.is_sold(), "a lost sale is settled");
                self.demand(facts.cart_emptied, "what is bought stays in the cart");
            }
            Effect::Settle(End::Undone) => self.demand(
                facts.aborted && facts.let_go && (facts.money_is_back() || !facts.money_taken),
                "an order is settled that is not undone",
            ),
            Effect::Settle(End::Returned) => self.demand(
                facts.cancelled && facts.returned > 0 && facts.money_is_back(),
                "a cancelled order is settled that has not come back",
            ),
            Effect::Answer(answer) => {
                self.answers += 1;
                self.demand(self.answers == 1, "somebody is told twice");
                match answer {
                    Answer::Confirmed => self.demand(facts.is_sold(), "a sale is said to stand"),
                    Answer::Refused(_) => self.demand(!facts.is_sold(), "a sale is denied"),
                    Answer::TooLate => self.demand(!facts.cancelled, "a cancellation is denied"),
                    Answer::Pending => {}
                }
            }
            Effect::Reserve | Effect::Record | Effect::Prepare | Effect::CheckStock => {}
            Effect::Capture | Effect::Ask { .. } => {}
        }
    }

    fn after(&mut self, effect: Effect, input: Input) {
        match (effect, input) {
            (Effect::Record, Input::Done | Input::Unclear) => self.may_be_recorded = true,
            (Effect::Prepare | Effect::CheckStock, Input::Done) => self.prepared = true,
            (Effect::Commit, Input::Done) | (Effect::Abort(_), Input::LostRace) => {
                self.committed = true;
            }
            (Effect::EmptyCart, Input::Done) => self.cart_emptied = true,
            (Effect::Abort(_), Input::Done) => self.aborted = true,
            (Effect::Release, Input::Done) => self.let_go = true,
            (Effect::Cancel(_), Input::Done) => self.cancelled = true,
            (Effect::Return, Input::Done) => self.returned += 1,
            (Effect::Refund, Input::Done | Input::Refunded | Input::Refused) => {
                self.refund = Some(input);
            }
            (_, Input::Captured | Input::Authorised) => self.money_taken = true,
            _ => {}
        }
    }

    /// The rules of how it may end.
    fn at_rest(&mut self, state: State) {
        let facts = *self;
        self.demand(
            facts.answers > 0 || !facts.somebody_listens,
            "somebody is never told",
        );
        if state != State::Finished {
            return;
        }
        let unsold = facts.may_be_recorded && !facts.committed;
        self.demand(!unsold || facts.aborted, "an unsold order stays open");
        self.demand(
            !facts.money_taken || facts.is_sold() || facts.money_is_back(),
            "money for nothing is kept",
        );
        if facts.cancelled {
            self.demand(
                facts.returned == 1 && facts.refunds == 1,
                "a cancelled order is not given back once",
            );
        }
    }
}

/// Every way in which a saga begins, with what has happened before it.
fn starts() -> Vec<(Step, Facts)> {
    let listened = Facts {
        somebody_listens: true,
        ..Facts::default()
    };
    let held = Facts {
        is_checkout_hold: true,
        ..listened
    };
    // What it cancels may have been paid for.
    let cancel = Facts {
        may_be_recorded: true,
        money_taken: true,
        ..listened
    };
    let left = Facts {
        somebody_listens: false,
        is_recovered: true,
        ..cancel
    };
    let undecided = Facts {
        money_taken: false,
        ..left
    };
    let committed = Facts {
        committed: true,
        ..left
    };
    let aborted = Facts {
        aborted: true,
        ..left
    };
    let cancelled = Facts {
        cancelled: true,
        ..committed
    };
    vec![
        (begin(), listened),
        (begin_with_hold(), held),
        (begin_without_redis(), listened),
        (begin_cancel(Reason::CancelledByShopper), cancel),
        (begin_cancel(Reason::CancelledBySupport), cancel),
        (resume(Found::Undecided { overdue: false }), undecided),
        (resume(Found::Undecided { overdue: true }), undecided),
        (resume(Found::Committed), committed),
        (resume(Found::Aborted), aborted),
        (resume(Found::Cancelled), cancelled),
    ]
}

/// Which rule a machine breaks, with a path that breaks it; and how many different points all
/// its paths have.
fn walk(machine: Machine) -> Result<usize, String> {
    let mut seen = HashSet::new();
    for (step, facts) in starts() {
        follow(machine, &step, facts, &mut Vec::new(), &mut seen)?;
    }
    Ok(seen.len())
}

fn follow(
    machine: Machine,
    step: &Step,
    mut facts: Facts,
    path: &mut Vec<(Effect, Input)>,
    seen: &mut HashSet<(State, Facts)>,
) -> Result<(), String> {
    for effect in &step.effects {
        facts.before(*effect);
    }
    if step.state.is_at_rest() {
        facts.at_rest(step.state);
    }
    if let Some(rule) = facts.broken {
        return Err(format!("{rule}: {path:?}, then {step:?}"));
    }
    if !seen.insert((step.state, facts)) {
        return Ok(());
    }
    let waits_for = match step.effects.last() {
        Some(Effect::Answer(_)) | None => None,
        Some(effect) => Some(*effect),
    };
    assert_eq!(
        waits_for.is_none(),
        step.state.is_at_rest(),
        "{step:?} waits for nothing, or nobody waits for its effect"
    );
    for input in waits_for.map_or(&[][..], Effect::inputs) {
        let effect = waits_for.unwrap_or(Effect::Park);
        let mut facts = facts;
        facts.after(effect, *input);
        path.push((effect, *input));
        follow(machine, &machine(step.state, *input), facts, path, seen)?;
        path.pop();
    }
    Ok(())
}

#[test]
fn every_path_keeps_the_rules() {
    let points = walk(next).expect("sound");
    assert!(points > 300, "only {points} points were walked");
}

/// The states of a path that comes back to where it was, if there is one.
fn circle(machine: Machine) -> Option<Vec<State>> {
    fn below(
        machine: Machine,
        step: &Step,
        above: &mut Vec<State>,
        ended: &mut HashSet<State>,
    ) -> bool {
        if ended.contains(&step.state) {
            return false;
        }
        let was_here = above.contains(&step.state);
        above.push(step.state);
        if was_here {
            return true;
        }
        let inputs = step
            .effects
            .last()
            .map_or(&[][..], |effect| effect.inputs());
        for input in inputs {
            if below(machine, &machine(step.state, *input), above, ended) {
                return true;
            }
        }
        above.pop();
        ended.insert(step.state);
        false
    }
    let (mut above, mut ended) = (Vec::new(), HashSet::new());
    let found = starts()
        .iter()
        .any(|(step, _)| below(machine, step, &mut above, &mut ended));
    found.then_some(above)
}

#[test]
fn every_path_has_an_end() {
    assert_eq!(circle(next), None);
    let endless: Machine = doctored!(
        State::Asking { attempt, question }, Input::StillPending => ask(attempt, question)
    );
    let circle = circle(endless).expect("asking for ever");
    assert!(
        matches!(circle.last(), Some(State::Asking { .. })),
        "{circle:?}"
    );
}

#[test]
fn every_rule_is_broken_by_some_machine_and_seen() {
    let broken: [(&str, Machine); 17] = [
        (
            "nothing is paid before it is prepared",
            doctored!(State::Recording(_), Input::Done => authorise(1)),
        ),
        (
            "nothing is sold before it is paid",
            doctored!(State::Preparing(_), Input::Done => commit(1)),
        ),
        (
            "a sale is told before it is made",
            doctored!(State::Committing { .. }, Input::LostRace => to(State::Confirming(Sale::Stands), Effect::Confirm)),
        ),
        (
            "a cart is emptied for no sale",
            doctored!(State::Aborting(..), Input::Done => to(State::EmptyingCart, Effect::EmptyCart)),
        ),
        (
            "what is bought stays in the cart",
            doctored!(State::Confirming(Sale::Stands), Input::Done => settle(End::Sold)),
        ),
        (
            "a sold order is called off",
            doctored!(State::Committing { .. }, Input::Done => abort(Reason::Abandoned, Money::Possible)),
        ),
        (
            "a sale's units are given back",
            doctored!(State::Confirming(Sale::Stands), Input::Unclear => release(Reason::Abandoned, Money::Possible)),
        ),
        (
            "a recorded order's units are given back before it is called off",
            doctored!(State::Preparing(_), Input::Short => release(Reason::SoldOut, Money::Untouched)),
        ),
        (
            "a checkout hold ends with a confirmation that recorded nothing",
            doctored!(State::Recording(Origin::Hold), Input::Shed => let_go(Reason::Overloaded)),
        ),
        (
            "a standing sale's money is given back",
            doctored!(State::Confirming(Sale::Stands), Input::Done => refund(End::Returned)),
        ),
        (
            "money goes back before the units",
            doctored!(State::Aborting(_, Money::Possible), Input::Done => refund(End::Undone)),
        ),
        (
            "a refund is told that was not made",
            doctored!(State::Refunding(end), Input::Done => to(State::RecordingRefund(end), Effect::RecordRefund)),
        ),
        (
            "what is only unclear is parked",
            doctored!(State::Refunding(_), Input::Unclear => to(State::Parking, Effect::Park)),
        ),
        (
            "an order is settled that is not undone",
            doctored!(State::Releasing(reason, _), Input::Done => saying(Answer::Refused(reason), State::Settling, Effect::Settle(End::Undone))),
        ),
        (
            "a cancelled order is settled that has not come back",
            doctored!(State::Returning, Input::Done => settle(End::Returned)),
        ),
        (
            "somebody is told twice",
            doctored!(State::Returning, Input::Unclear => leave()),
        ),
        (
            "somebody is never told",
            doctored!(State::LettingGo(_), _ => rest(State::Finished)),
        ),
    ];
    for (rule, machine) in broken {
        let found = walk(machine).expect_err(rule);
        assert!(found.starts_with(rule), "wanted '{rule}', found '{found}'");
    }
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
