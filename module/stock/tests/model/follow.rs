//! A ledger, its replica and the model, led through the same steps and compared after each.

use holdfast_stock::{
    Command, Decision, Decoder, ENCODING_VERSION, Effect, Ledger, Policy, Record, Retention, State,
    Until, Word,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::compare::walked;
use crate::shop::Shop;
use crate::steps::{Event, POLICY, Step, id};

/// What is wrong with the ledger, for the controls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// Outcomes are dropped though a hold of that age could still be live.
    ForgetsTooEarly,
    /// A restock brings one unit more than it says.
    OneUnitTooMany,
    /// The replica is not told what was prepared.
    ReplicaMissesAnEffect,
    /// The replica, having taken over, decides by a clock that is ahead.
    ClockIsAhead,
    /// Returned units are sold units still.
    ReturnsAreNotNetted,
    /// A command expires as much as it needs, whatever it may.
    ExpiresWithoutEnd,
}

pub struct Follower {
    fault: Fault,
    pub ids: u16,
    pub now_ms: u64,
    /// Whether something happened that lets more be held than there is: a FORCE, or the clock going back.
    pub may_be_short: bool,
    pub shop: Shop,
    pub primary: Ledger,
    pub replica: Ledger,
}

/// Follows the steps on a ledger that begins with `on_hand` units and `filled` holds, and fails at the first thing that
/// is not as the model has it.
pub fn follow(
    ids: u16,
    on_hand: u64,
    filled: u16,
    steps: Vec<Step>,
    fault: Fault,
) -> Result<(), TestCaseError> {
    let mut follower = Follower {
        fault,
        ids,
        now_ms: 1_000,
        may_be_short: false,
        shop: Shop::default(),
        primary: Ledger::default(),
        replica: Ledger::default(),
    };
    let set = Command::Set {
        on_hand,
        only_if: Some(0),
        force: false,
    };
    follower.command(&set, &POLICY)?;
    for n in 0..filled {
        let reserve = Command::Reserve {
            id: id(n),
            quantity: 1,
            until: Until::In(1 + u64::from(n) * 7 % POLICY.longest_hold_ms),
        };
        follower.command(&reserve, &POLICY)?;
    }
    for step in steps {
        follower.may_be_short |= step.passes_ms < 0;
        follower.now_ms = follower.now_ms.saturating_add_signed(step.passes_ms);
        match step.event {
            Event::Command(command) => {
                let expires_at_once = step.expires_at_once;
                let policy = Policy {
                    expires_at_once,
                    ..POLICY
                };
                follower.command(&command, &policy)?;
            }
            Event::Sweep(limit) => follower.sweep(limit)?,
            Event::Forget(retention, limit) => follower.forget(&retention, limit)?,
            Event::Restart => follower.primary = decoded(&follower.primary),
            Event::Rewrite => follower.primary = rewritten(&follower.primary),
            Event::Failover => std::mem::swap(&mut follower.primary, &mut follower.replica),
            Event::Defrag(chunks) => defrag(&mut follower.primary, chunks),
        }
        follower.compare()?;
    }
    follower.settle()
}

impl Follower {
    fn command(&mut self, command: &Command, policy: &Policy) -> Result<(), TestCaseError> {
        let decide_ms = match self.fault {
            Fault::ClockIsAhead => self.now_ms + 50,
            _ => self.now_ms,
        };
        let kept_to = match self.fault {
            Fault::ExpiresWithoutEnd => &POLICY,
            _ => policy,
        };
        let before = self.primary.clone();
        let decided = self.primary.decide(command, kept_to, decide_ms);
        prop_assert!(self.primary == before, "deciding changes nothing");

        let mut swept = before;
        while let Some(effect) = swept.overdue(decide_ms, usize::MAX) {
            swept.apply(&effect).expect("what is due can expire");
        }
        let after_sweep = swept.decide(command, policy, decide_ms);
        let words = [&decided, &after_sweep].map(|decided| {
            decided
                .as_ref()
                .map(|decision| decision.word)
                .map_err(|_| ())
        });
        let conditional = matches!(
            command,
            Command::Set {
                only_if: Some(_),
                ..
            } | Command::Adjust {
                only_if: Some(_),
                ..
            }
        );
        // The sweep raises the seq, so it may make an IF stale.
        prop_assert!(
            words[0] == words[1] || conditional,
            "{command:?}: the sweep changes the answer {words:?}"
        );

        if let Ok(Decision { effects, .. }) = &decided
            && let Some(Effect::Expired { count, at_ms }) = effects.first()
        {
            let wanted = match command {
                Command::Reserve { quantity, .. } => *quantity,
                Command::Prepare { late, .. } | Command::Confirm { late, .. } => late.unwrap_or(0),
                _ => 0,
            };
            let most = wanted.min(policy.expires_at_once as u64);
            prop_assert!(*count <= most, "{command:?} expires {count} holds");
            prop_assert!(
                self.shop.sweep(*count, *at_ms),
                "what is not due cannot expire"
            );
        }
        let expected = self
            .shop
            .run(command, &POLICY, self.now_ms, self.primary.seq());
        let Ok(decision) = decided else {
            prop_assert_eq!(expected, None, "{:?} was refused: {:?}", command, decided);
            return Ok(());
        };
        prop_assert_eq!(Some(decision.word), expected, "{:?}", command);
        prop_assert!(
            !decision.replayed || decision.effects.is_empty(),
            "a replay changes nothing"
        );
        let forced = matches!(
            command,
            Command::Set { force: true, .. } | Command::Adjust { force: true, .. }
        );
        self.may_be_short |= forced;
        self.apply(&decision.effects)?;
        self.repeat(command, &decision)
    }

    /// The same command again, at once, gives the same answer and changes nothing.
    fn repeat(&self, command: &Command, first: &Decision) -> Result<(), TestCaseError> {
        let counts_again = matches!(
            command,
            Command::Set {
                only_if: Some(_),
                ..
            } | Command::Adjust {
                only_if: Some(_),
                ..
            } | Command::Adjust { id: None, .. }
        );
        let refused = matches!(
            first.word,
            Word::OutOfStock | Word::SoldOut | Word::BelowHeld | Word::Stale
        );
        if counts_again || refused || self.fault == Fault::ClockIsAhead {
            return Ok(());
        }
        let again = self.primary.decide(command, &POLICY, self.now_ms);
        let again =
            again.map_err(|misuse| TestCaseError::fail(format!("{command:?} again: {misuse}")))?;
        prop_assert_eq!(again.word, first.word, "{:?} again", command);
        prop_assert_eq!(again.deadline_ms, first.deadline_ms, "{:?} again", command);
        prop_assert!(again.effects.is_empty());
        Ok(())
    }

    fn sweep(&mut self, limit: usize) -> Result<(), TestCaseError> {
        let effect = self.primary.overdue(self.now_ms, limit);
        if let Some(Effect::Expired { count, .. }) = effect {
            prop_assert!(
                self.shop.sweep(count, self.now_ms),
                "what is not due cannot expire"
            );
        }
        self.apply(effect.as_slice())
    }

    fn forget(&mut self, retention: &Retention, limit: usize) -> Result<(), TestCaseError> {
        let asked = match self.fault {
            Fault::ForgetsTooEarly => Retention {
                longest_hold_ms: 0,
                ..*retention
            },
            _ => *retention,
        };
        let effect = self.primary.forgettable(&asked, self.now_ms, limit);
        let oldest = [
            self.shop.finished.first().map(|hold| hold.at_ms),
            self.shop.booked.first().map(|booked| booked.at_ms),
        ];
        let expected = self.shop.forget(retention, self.now_ms, limit);
        let forgotten = match effect {
            Some(Effect::Forgotten {
                outcomes,
                adjustments,
            }) => (outcomes, adjustments),
            _ => (0, 0),
        };
        prop_assert_eq!(forgotten, expected);
        let young = |at_ms: &u64| at_ms + POLICY.longest_hold_ms > self.now_ms;
        prop_assert!(forgotten.0 == 0 || !oldest[0].as_ref().is_some_and(young));
        prop_assert!(forgotten.1 == 0 || !oldest[1].as_ref().is_some_and(young));
        self.apply(effect.as_slice())
    }

    fn apply(&mut self, effects: &[Effect]) -> Result<(), TestCaseError> {
        for effect in effects {
            let mut effect = effect.clone();
            if let (Fault::OneUnitTooMany, Effect::Adjusted { delta, .. }) =
                (self.fault, &mut effect)
            {
                *delta += 1;
            }
            if let (
                Fault::ReturnsAreNotNetted,
                Effect::Returned {
                    quantity,
                    return_id,
                    at_ms,
                    ..
                },
            ) = (self.fault, &effect)
            {
                effect = Effect::Adjusted {
                    delta: *quantity as i64,
                    id: Some(return_id.clone()),
                    at_ms: *at_ms,
                };
            }
            let applied = self.primary.apply(&effect);
            applied.map_err(|error| {
                TestCaseError::fail(format!("{effect:?} was decided, yet {error}"))
            })?;
            let misses = self.fault == Fault::ReplicaMissesAnEffect;
            if !(misses && matches!(effect, Effect::Prepared { .. })) {
                replicate(&mut self.replica, &effect)?;
            }
        }
        Ok(())
    }

    /// Long after, once swept, no hold is left but those that are prepared.
    fn settle(mut self) -> Result<(), TestCaseError> {
        self.now_ms += 10 * POLICY.longest_hold_ms;
        while self.primary.overdue(self.now_ms, 100).is_some() {
            self.sweep(100)?;
        }
        self.compare()?;
        let left = walked(&self.primary);
        prop_assert!(
            left.iter()
                .all(|hold| matches!(hold.state, State::Prepared { .. })),
            "nothing is stranded"
        );
        prop_assert!(decoded(&self.primary) == self.primary);
        prop_assert!(rewritten(&self.primary) == self.primary);
        Ok(())
    }
}

/// Sends the effect the way it goes to a replica: as text.
fn replicate(replica: &mut Ledger, effect: &Effect) -> Result<(), TestCaseError> {
    let args = effect.to_args();
    let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
    let read = Effect::from_args(&args).expect("what was written can be read");
    prop_assert_eq!(&read, effect);
    let applied = replica.apply(&read);
    applied.map_err(|error| TestCaseError::fail(format!("the replica refused {effect:?}: {error}")))
}

pub fn encoded(ledger: &Ledger) -> Vec<u8> {
    let mut bytes = Vec::new();
    ledger.encode(|chunk| bytes.extend_from_slice(chunk));
    bytes
}

pub fn decoded(ledger: &Ledger) -> Ledger {
    let mut decoder = Decoder::new(ENCODING_VERSION).expect("our own version");
    ledger.encode(|chunk| {
        decoder
            .chunk(chunk)
            .expect("what was encoded can be decoded")
    });
    decoder.finish().expect("it is complete")
}

pub fn rewritten(ledger: &Ledger) -> Ledger {
    let mut again = Ledger::default();
    for record in ledger.records() {
        let args = record.to_args();
        let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
        let records = Record::all_from_args(&args).expect("what was written can be read");
        assert_eq!(records, [record]);
        again.restore_all(&records).expect("consistent");
    }
    again
}

/// Moves the whole ledger, a few chunks at a time.
fn defrag(ledger: &mut Ledger, at_a_time: u8) {
    let mut cursor = 0;
    loop {
        let mut left = at_a_time % 4 + 1;
        cursor = ledger.defrag(cursor, || {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            goes_on
        });
        if cursor == 0 {
            return;
        }
    }
}
