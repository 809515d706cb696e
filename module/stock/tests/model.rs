//! Random commands under a random clock, against a model that is as plain as can be: one list of holds,
//! no indexes, no caches, everything counted afresh.

use std::collections::BTreeMap;

use holdfast_stock::{
    Command, Decision, Decoder, ENCODING_VERSION, Effect, Id, Ledger, Policy, Record, Until, Word,
};
use proptest::prelude::*;

const POLICY: Policy = Policy {
    default_hold_ms: 150,
    longest_hold_ms: 3_600_000,
};

/// What the model knows of one hold id.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Held { quantity: u64, deadline_ms: u64 },
    Prepared { quantity: u64 },
    Confirmed { quantity: u64 },
    Released,
    Expired,
}

#[derive(Clone, Debug, Default)]
struct Model {
    counted: bool,
    on_hand: u64,
    sold: u64,
    stocked: i128,
    /// In order of taking.
    holds: Vec<(Id, Fate)>,
    adjustments: BTreeMap<Id, i64>,
}

impl Model {
    fn fate(&self, id: &Id) -> Option<&Fate> {
        self.holds
            .iter()
            .find(|(known, _)| known == id)
            .map(|(_, fate)| fate)
    }

    fn settle(&mut self, id: &Id, fate: Fate) {
        // A hold that is taken again is the youngest.
        let again = matches!(fate, Fate::Held { .. })
            || matches!(
                (self.fate(id), &fate),
                (None | Some(Fate::Expired), Fate::Prepared { .. })
            );
        if again {
            self.holds.retain(|(known, _)| known != id);
        }
        match self.holds.iter_mut().find(|(known, _)| known == id) {
            Some((_, known)) => *known = fate,
            None => self.holds.push((id.clone(), fate)),
        }
    }

    /// Holds whose deadline has come are over, whatever the ledger has swept.
    fn expire(&mut self, now_ms: u64) {
        for (_, fate) in &mut self.holds {
            if matches!(fate, Fate::Held { deadline_ms, .. } if *deadline_ms <= now_ms) {
                *fate = Fate::Expired;
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = (&Id, u64)> {
        self.holds.iter().filter_map(|(id, fate)| match fate {
            Fate::Held { quantity, .. } | Fate::Prepared { quantity } => Some((id, *quantity)),
            _ => None,
        })
    }

    fn held(&self) -> u64 {
        self.live().map(|(_, quantity)| quantity).sum()
    }

    /// Units of the hold that are covered, the oldest holds being covered first.
    fn covered(&self, id: &Id) -> u64 {
        let mut left = self.on_hand;
        for (known, quantity) in self.live() {
            let covered = quantity.min(left);
            if known == id {
                return covered;
            }
            left -= covered;
        }
        0
    }

    fn fits(&self, quantity: u64) -> bool {
        self.held() + quantity <= self.on_hand
    }

    /// The word that the command must be answered with; `None` for a misuse. The model has moved on.
    fn run(&mut self, command: &Command, now_ms: u64, seq: u64) -> Option<Word> {
        Some(match command {
            Command::Set {
                on_hand,
                only_if,
                force,
            } => {
                if only_if.is_some_and(|expected| expected != seq) {
                    return Some(Word::Stale);
                }
                if *on_hand < self.on_hand && *on_hand < self.held() && !force {
                    return Some(Word::BelowHeld);
                }
                self.stocked += i128::from(*on_hand) - i128::from(self.on_hand);
                self.on_hand = *on_hand;
                self.counted = true;
                Word::Ok
            }
            Command::Adjust {
                delta,
                id,
                only_if,
                force,
            } => {
                if let Some(known) = id.as_ref().and_then(|id| self.adjustments.get(id)) {
                    return (known == delta).then_some(Word::Ok);
                }
                if only_if.is_some_and(|expected| expected != seq) {
                    return Some(Word::Stale);
                }
                let Some(on_hand) = self.on_hand.checked_add_signed(*delta) else {
                    return (!force).then_some(Word::BelowHeld);
                };
                if *delta < 0 && on_hand < self.held() && !force {
                    return Some(Word::BelowHeld);
                }
                self.stocked += i128::from(*delta);
                self.on_hand = on_hand;
                if let Some(id) = id {
                    self.adjustments.insert(id.clone(), *delta);
                }
                Word::Ok
            }
            Command::Reserve {
                id,
                quantity,
                until,
            } => match self.fate(id) {
                Some(Fate::Held { quantity: held, .. } | Fate::Prepared { quantity: held }) => {
                    return (held == quantity).then_some(Word::Reserved);
                }
                Some(Fate::Confirmed { .. }) => Word::Confirmed,
                Some(Fate::Released) => Word::Released,
                Some(Fate::Expired) => Word::Expired,
                None => {
                    let deadline_ms = match until {
                        Until::Default => now_ms + POLICY.default_hold_ms,
                        Until::In(ms) => now_ms + ms,
                        Until::At(ms) => *ms,
                    };
                    if deadline_ms <= now_ms || deadline_ms - now_ms > POLICY.longest_hold_ms {
                        return None;
                    }
                    if !self.fits(*quantity) {
                        return Some(Word::OutOfStock);
                    }
                    self.settle(
                        id,
                        Fate::Held {
                            quantity: *quantity,
                            deadline_ms,
                        },
                    );
                    Word::Reserved
                }
            },
            Command::Release { id } => match self.fate(id) {
                Some(Fate::Confirmed { .. }) => Word::AlreadyConfirmed,
                Some(Fate::Expired) => Word::Expired,
                _ => {
                    self.settle(id, Fate::Released);
                    Word::Released
                }
            },
            Command::Extend { id, for_ms } => match self.fate(id).cloned() {
                Some(Fate::Held {
                    quantity,
                    deadline_ms,
                }) => {
                    if *for_ms == 0 || *for_ms > POLICY.longest_hold_ms {
                        return None;
                    }
                    let deadline_ms = deadline_ms.max(now_ms + for_ms);
                    if let Some((_, fate)) = self.holds.iter_mut().find(|(known, _)| known == id) {
                        *fate = Fate::Held {
                            quantity,
                            deadline_ms,
                        };
                    }
                    Word::Extended
                }
                Some(Fate::Prepared { .. }) => Word::Prepared,
                Some(Fate::Confirmed { .. }) => Word::AlreadyConfirmed,
                Some(Fate::Released) => Word::Released,
                Some(Fate::Expired) => Word::Expired,
                None => Word::UnknownHold,
            },
            Command::Prepare { .. } | Command::Confirm { .. } => unreachable!("run by run_commit"),
            Command::Return { .. } => unreachable!("not asked for"),
        })
    }

    /// PREPARE and CONFIRM. A hold past due that was not swept keeps its units for LATE, so what the ledger
    /// answers may differ from a model that expires at once; both are told whether it was swept.
    fn run_commit(&mut self, command: &Command) -> Option<Word> {
        let (id, late, sell) = match command {
            Command::Prepare { id, late } => (id, *late, None),
            Command::Confirm { id, quantity, late } => (id, *late, Some(*quantity)),
            _ => unreachable!("run by run"),
        };
        let quantity = match self.fate(id).cloned() {
            Some(Fate::Confirmed { quantity }) => {
                let Some(asked) = sell else {
                    return Some(Word::AlreadyConfirmed);
                };
                let same = asked.or(late).is_none_or(|asked| asked == quantity);
                return same.then_some(Word::Confirmed);
            }
            Some(Fate::Released) => return Some(Word::Released),
            Some(Fate::Held { quantity, .. } | Fate::Prepared { quantity }) => {
                if late.is_some_and(|late| late != quantity) {
                    return None;
                }
                quantity
            }
            fate @ (None | Some(Fate::Expired)) => {
                let Some(quantity) = late else {
                    return Some(if fate.is_none() {
                        Word::UnknownHold
                    } else {
                        Word::Expired
                    });
                };
                if sell.flatten().is_some_and(|asked| asked > quantity) {
                    return None;
                }
                if !self.fits(quantity) {
                    return Some(Word::SoldOut);
                }
                self.settle(id, Fate::Prepared { quantity });
                quantity
            }
        };
        let Some(asked) = sell else {
            let prepared = matches!(self.fate(id), Some(Fate::Prepared { .. }));
            if !prepared && self.covered(id) < quantity {
                return Some(Word::SoldOut);
            }
            self.settle(id, Fate::Prepared { quantity });
            return Some(Word::Prepared);
        };
        let sold = asked.unwrap_or(quantity);
        if sold > quantity {
            return None;
        }
        if sold > self.covered(id) {
            return Some(Word::SoldOut);
        }
        self.on_hand -= sold;
        self.sold += sold;
        self.settle(id, Fate::Confirmed { quantity: sold });
        Some(Word::Confirmed)
    }
}

fn id() -> impl Strategy<Value = Id> {
    (0..12_u8).prop_map(|n| {
        let text = match n % 3 {
            0 => format!("0190f3a2-7c1e-7abc-8def-0123456789{n:02x}"),
            1 => format!("order\0{n}"),
            _ => format!("{}{n:02}", "x".repeat(62)),
        };
        Id::new(text.as_bytes()).expect("1 to 64 bytes")
    })
}

fn only_if() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![4 => Just(None), 1 => (0..40_u64).prop_map(Some)]
}

fn command() -> impl Strategy<Value = Command> {
    let units = 1..6_u64;
    let maybe = || prop_oneof![2 => Just(None), 1 => (1..6_u64).prop_map(Some)];
    let until = prop_oneof![
        8 => (1..400_u64).prop_map(Until::In),
        1 => Just(Until::In(POLICY.longest_hold_ms + 1)),
        2 => (1_000..6_000_u64).prop_map(Until::At),
    ];
    prop_oneof![
        2 => (0..30_u64, only_if(), any::<bool>()).prop_map(|(on_hand, only_if, force)| Command::Set { on_hand, only_if, force }),
        2 => (-8..9_i64, proptest::option::of(id()), only_if(), any::<bool>())
            .prop_filter("a delta moves something", |(delta, ..)| *delta != 0)
            .prop_map(|(delta, id, only_if, force)| Command::Adjust { delta, id, only_if, force }),
        8 => (id(), units, until).prop_map(|(id, quantity, until)| Command::Reserve { id, quantity, until }),
        3 => (id(), maybe()).prop_map(|(id, late)| Command::Prepare { id, late }),
        2 => (id(), 0..500_u64).prop_map(|(id, for_ms)| Command::Extend { id, for_ms: for_ms.max(1) }),
        4 => (id(), maybe(), maybe()).prop_map(|(id, quantity, late)| Command::Confirm { id, quantity, late }),
        2 => id().prop_map(|id| Command::Release { id }),
    ]
}

/// A step: time passes, the sweep may come by, a command runs.
fn step() -> impl Strategy<Value = (u64, bool, Command)> {
    (
        prop_oneof![3 => Just(0), 3 => 1..60_u64, 1 => 60..600_u64],
        any::<bool>(),
        command(),
    )
}

fn apply_all(ledger: &mut Ledger, effects: &[Effect]) {
    for effect in effects {
        ledger
            .apply(effect)
            .unwrap_or_else(|error| panic!("{effect:?} was decided, yet {error}"));
    }
}

/// Sends effects the way they go to a replica: as text.
fn replicate(replica: &mut Ledger, effects: &[Effect]) {
    for effect in effects {
        let args = effect.to_args();
        let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
        let read = Effect::from_args(&args).expect("what was written can be read");
        assert_eq!(&read, effect);
        replica.apply(&read).expect("a replica follows its primary");
    }
}

fn decode(ledger: &Ledger) -> Ledger {
    let mut decoder = Decoder::new(ENCODING_VERSION).expect("our own version");
    ledger.encode(|chunk| {
        decoder
            .chunk(chunk)
            .expect("what was encoded can be decoded")
    });
    decoder.finish().expect("it is complete")
}

fn rewrite(ledger: &Ledger) -> Ledger {
    let mut again = Ledger::default();
    for record in ledger.records() {
        let args = record.to_args();
        let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
        again
            .restore_all(&Record::all_from_args(&args).expect("readable"))
            .expect("consistent");
    }
    again
}

fn check(ledger: &Ledger, model: &Model, now_ms: u64) {
    let summary = ledger.summary(now_ms);
    assert_eq!((summary.on_hand, summary.sold), (model.on_hand, model.sold));
    assert_eq!(summary.held, model.held());
    assert_eq!(summary.holds, model.live().count() as u64);
    assert_eq!(
        summary.available,
        model.on_hand.saturating_sub(model.held())
    );
    assert_eq!(
        summary.shortfall,
        model.held().saturating_sub(model.on_hand)
    );
    assert_eq!(ledger.available(now_ms), summary.available);
    // Invariant A: no more was sold than was ever stocked.
    assert_eq!(
        i128::from(summary.sold) + i128::from(summary.on_hand),
        model.stocked
    );
}

fn swept(ledger: &Ledger, now_ms: u64) -> Vec<Effect> {
    ledger.overdue(now_ms, 3).into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut now_ms = 1_000;
        let mut model = Model::default();
        let (mut primary, mut replica) = (Ledger::default(), Ledger::default());
        let first = Command::Set { on_hand: 10, only_if: Some(0), force: false };
        for (passes_ms, sweeps, command) in std::iter::once((0, false, first)).chain(steps) {
            now_ms += passes_ms;
            model.expire(now_ms);
            let commits = matches!(command, Command::Prepare { .. } | Command::Confirm { .. });
            // Before PREPARE and CONFIRM the sweep goes all the way: what LATE makes of a hold that is due and
            // not swept is tested on its own below, and a forced shortfall may fall on a hold past due.
            for _ in 0..if commits { usize::MAX } else { usize::from(sweeps) } {
                let effects = swept(&primary, now_ms);
                if effects.is_empty() {
                    break;
                }
                apply_all(&mut primary, &effects);
                replicate(&mut replica, &effects);
            }
            let before = primary.clone();
            let decided = primary.decide(&command, &POLICY, now_ms);
            prop_assert!(primary == before, "deciding changes nothing");
            let expected = if commits {
                model.run_commit(&command)
            } else {
                model.run(&command, now_ms, primary.seq())
            };
            let Ok(Decision { word, deadline_ms, replayed, effects }) = decided else {
                prop_assert_eq!(expected, None, "{:?} was refused: {:?}", command, decided);
                continue;
            };
            prop_assert_eq!(Some(word), expected, "{:?}", command);
            prop_assert!(!replayed || effects.is_empty(), "a replay changes nothing");
            apply_all(&mut primary, &effects);
            replicate(&mut replica, &effects);
            check(&primary, &model, now_ms);
            prop_assert!(primary == replica);

            // The same command again, at once, gives the same answer and changes nothing.
            let conditional = matches!(
                &command,
                Command::Set { only_if: Some(_), .. } | Command::Adjust { only_if: Some(_), .. } | Command::Adjust { id: None, .. }
            );
            let settles = !matches!(word, Word::OutOfStock | Word::SoldOut | Word::BelowHeld | Word::Stale);
            if settles && !conditional {
                let again = primary.decide(&command, &POLICY, now_ms).expect("a retry is no misuse");
                prop_assert_eq!((again.word, again.deadline_ms), (word, deadline_ms), "{:?} again", command);
                prop_assert!(again.effects.is_empty());
            }
        }
        prop_assert!(decode(&primary) == primary);
        prop_assert!(rewrite(&primary) == primary);
    }

    #[test]
    fn a_damaged_payload_never_becomes_a_ledger_that_lies(
        steps in proptest::collection::vec(step(), 1..30),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut ledger = Ledger::default();
        ledger.apply(&Effect::Counted { on_hand: 30 }).expect("a first count");
        for (passes_ms, _, command) in steps {
            if let Ok(decision) = ledger.decide(&command, &POLICY, 1_000 + passes_ms) {
                apply_all(&mut ledger, &decision.effects);
            }
        }
        let mut bytes = Vec::new();
        ledger.encode(|chunk| bytes.extend_from_slice(chunk));

        let mut decoder = Decoder::new(ENCODING_VERSION).expect("our own version");
        let read = decoder.chunk(&bytes[..cut.index(bytes.len())]);
        prop_assert!(read.is_err() || decoder.finish().is_err(), "a payload cut short is refused");

        let (at, bits) = flip;
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        let mut decoder = Decoder::new(ENCODING_VERSION).expect("our own version");
        if decoder.chunk(&bytes).is_ok() && let Ok(ledger) = decoder.finish() {
            let summary = ledger.summary(2_000);
            prop_assert_eq!(summary.available, summary.on_hand.saturating_sub(summary.held));
            prop_assert!(rewrite(&ledger) == ledger);
        }
    }

    #[test]
    fn any_arguments_leave_a_replica_whole(
        effects in proptest::collection::vec(arbitrary_effect(), 1..80),
    ) {
        let mut ledger = Ledger::default();
        for effect in effects {
            let before = ledger.clone();
            match ledger.apply(&effect) {
                Ok(()) => prop_assert_eq!(ledger.seq(), before.seq() + effect.changes()),
                Err(_) => prop_assert!(ledger == before, "{:?} was refused and changed something", effect),
            }
            let summary = ledger.summary(0);
            prop_assert_eq!(summary.available, summary.on_hand.saturating_sub(summary.held));
            prop_assert!(decode_if_counted(&ledger));
        }
    }
}

fn decode_if_counted(ledger: &Ledger) -> bool {
    ledger.seq() == 0 || decode(ledger) == *ledger
}

fn arbitrary_effect() -> impl Strategy<Value = Effect> {
    let number = || prop_oneof![6 => 0..9_u64, 1 => Just(u64::MAX), 1 => Just((1 << 53) - 1), 1 => any::<u64>()];
    let delta = prop_oneof![6 => -9..9_i64, 1 => Just(i64::MIN), 1 => any::<i64>()];
    prop_oneof![
        number().prop_map(|on_hand| Effect::Counted { on_hand }),
        (delta, proptest::option::of(id()), number())
            .prop_map(|(delta, id, at_ms)| Effect::Adjusted { delta, id, at_ms }),
        (id(), number(), number()).prop_map(|(id, quantity, deadline_ms)| Effect::Reserved {
            id,
            quantity,
            deadline_ms
        }),
        (id(), number(), number()).prop_map(|(id, quantity, at_ms)| Effect::Retaken {
            id,
            quantity,
            at_ms
        }),
        (id(), number()).prop_map(|(id, at_ms)| Effect::Prepared { id, at_ms }),
        (id(), number()).prop_map(|(id, deadline_ms)| Effect::Extended { id, deadline_ms }),
        (id(), number(), number()).prop_map(|(id, quantity, at_ms)| Effect::Confirmed {
            id,
            quantity,
            at_ms
        }),
        (id(), number()).prop_map(|(id, at_ms)| Effect::Released { id, at_ms }),
        (number(), number()).prop_map(|(count, at_ms)| Effect::Expired { count, at_ms }),
        (number(), number()).prop_map(|(outcomes, adjustments)| Effect::Forgotten {
            outcomes,
            adjustments
        }),
    ]
}
