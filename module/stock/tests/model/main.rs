//! Random events under a random clock, on a ledger, its replica and a model that is as plain as can be; and what no
//! input may do to a ledger.

mod compare;
mod follow;
mod shop;
mod steps;

use holdfast_stock::{Decoder, ENCODING_VERSION, Effect, Ledger};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use follow::{Fault, decoded, encoded, follow, rewritten};
use steps::{Event, POLICY, id, steps};

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_does_what_the_model_does(steps in steps(9, 50)) {
        follow(9, 10, 0, steps, Fault::None)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// As above with so many holds that they fill several chunks.
    #[test]
    fn a_large_ledger_does_what_the_model_does(filled in 100..400_u16, steps in steps(500, 60)) {
        follow(500, 600, filled, steps, Fault::None)?;
    }
}

/// Controls: a ledger with any of these faults is not taken for a sound one.
#[test]
fn the_model_notices_each_fault() {
    for fault in [
        Fault::ForgetsTooEarly,
        Fault::OneUnitTooMany,
        Fault::ReplicaMissesAnEffect,
        Fault::ClockIsAhead,
        Fault::ReturnsAreNotNetted,
        Fault::ExpiresWithoutEnd,
    ] {
        let config = Config {
            cases: 5_000,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..Config::default()
        };
        let followed =
            TestRunner::new(config).run(&steps(9, 50), |steps| follow(9, 10, 0, steps, fault));
        assert!(followed.is_err(), "{fault:?} goes unnoticed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_payload_never_becomes_a_ledger_that_lies(
        steps in steps(12, 30),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut ledger = Ledger::default();
        ledger.apply(&Effect::Counted { on_hand: 30 }).expect("a first count");
        for step in steps {
            let now_ms = 1_000_u64.saturating_add_signed(step.passes_ms);
            if let Event::Command(command) = step.event
                && let Ok(decision) = ledger.decide(&command, &POLICY, now_ms)
            {
                for effect in &decision.effects {
                    ledger.apply(effect).expect("it was decided");
                }
            }
        }
        let mut bytes = encoded(&ledger);

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
            prop_assert!(rewritten(&ledger) == ledger);
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
    ledger.seq() == 0 || decoded(ledger) == *ledger
}

fn arbitrary_effect() -> impl Strategy<Value = Effect> {
    let an_id = || (0..12_u16).prop_map(id);
    let number = || prop_oneof![6 => 0..9_u64, 1 => Just(u64::MAX), 1 => Just((1 << 53) - 1), 1 => any::<u64>()];
    let delta = prop_oneof![6 => -9..9_i64, 1 => Just(i64::MIN), 1 => any::<i64>()];
    prop_oneof![
        number().prop_map(|on_hand| Effect::Counted { on_hand }),
        (delta, proptest::option::of(an_id()), number())
            .prop_map(|(delta, id, at_ms)| Effect::Adjusted { delta, id, at_ms }),
        (an_id(), number(), number()).prop_map(|(id, quantity, deadline_ms)| Effect::Reserved {
            id,
            quantity,
            deadline_ms
        }),
        (an_id(), number(), number()).prop_map(|(id, quantity, at_ms)| Effect::Retaken {
            id,
            quantity,
            at_ms
        }),
        (an_id(), number()).prop_map(|(id, at_ms)| Effect::Prepared { id, at_ms }),
        (an_id(), number()).prop_map(|(id, deadline_ms)| Effect::Extended { id, deadline_ms }),
        (an_id(), number(), number()).prop_map(|(id, quantity, at_ms)| Effect::Confirmed {
            id,
            quantity,
            at_ms
        }),
        (an_id(), number()).prop_map(|(id, at_ms)| Effect::Released { id, at_ms }),
        (an_id(), an_id(), number(), number()).prop_map(|(id, return_id, quantity, at_ms)| {
            Effect::Returned {
                id,
                return_id,
                quantity,
                at_ms,
            }
        }),
        (number(), number()).prop_map(|(count, at_ms)| Effect::Expired { count, at_ms }),
        (number(), number()).prop_map(|(outcomes, adjustments)| Effect::Forgotten {
            outcomes,
            adjustments
        }),
    ]
}
