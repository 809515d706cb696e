//! Whatever happened before, and whatever happens while the reconciler looks.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::model::{Step, World, lossless, lossy};
use super::{Gate, Outcome, Truth, Verdict, decide};

type Decide = fn(Option<&Gate>, &Truth, Option<i64>) -> Verdict;

/// Nothing is ever done in a shop that has lost nothing.
fn nothing_is_corrected_without_a_loss(decide: Decide) -> Result<(), TestError<Vec<Step>>> {
    let config = Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(&vec(lossless(), 0..120), |steps| {
        let mut world = World::new(decide);
        for step in &steps {
            world.take(step);
            prop_assert_eq!(&world.mended, &[]);
            prop_assert_eq!(world.ended, 0);
            prop_assert!(!world.is_outdated);
        }
        world.come_to_rest();
        prop_assert_eq!(world.faults(), Vec::<String>::new());
        Ok(())
    })
}

/// Whatever Redis loses, each correction leaves the count as it has to be, and at rest it is that
/// of MySQL.
fn losses_are_made_good(decide: Decide) -> Result<(), TestError<Vec<Step>>> {
    let config = Config {
        cases: 4_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(&vec(lossy(), 0..120), |steps| {
        let mut world = World::new(decide);
        for step in &steps {
            world.take(step);
            let wrong = world.mended.iter().find(|(_, is_right)| !is_right);
            prop_assert_eq!(wrong, None);
        }
        world.come_to_rest();
        prop_assert_eq!(world.faults(), Vec::<String>::new());
        Ok(())
    })
}

#[test]
fn a_shop_that_has_lost_nothing_is_left_alone() {
    nothing_is_corrected_without_a_loss(decide).expect("no correction");
}

#[test]
fn what_redis_loses_is_made_good() {
    losses_are_made_good(decide).expect("as in MySQL");
}

/// The formula without the sales that Redis has still to be told of.
fn ignore_the_unconfirmed(gate: Option<&Gate>, truth: &Truth, seq_after: Option<i64>) -> Verdict {
    let mut blind = truth.clone();
    for order in blind.orders.values_mut() {
        order.outcome = order.outcome.filter(|outcome| *outcome == Outcome::Aborted);
    }
    decide(gate, &blind, seq_after)
}

/// A correction whatever has changed since.
fn ignore_the_version(gate: Option<&Gate>, truth: &Truth, seq_after: Option<i64>) -> Verdict {
    let mut old = gate.cloned();
    if let (Some(gate), Some(seq)) = (&mut old, seq_after) {
        gate.seq = seq;
    }
    decide(old.as_ref(), truth, seq_after)
}

/// A comparison though Redis may or may not have a change.
fn ignore_the_unacknowledged(
    gate: Option<&Gate>,
    truth: &Truth,
    seq_after: Option<i64>,
) -> Verdict {
    let mut blind = truth.clone();
    blind.unacknowledged.clear();
    decide(gate, &blind, seq_after)
}

/// Every hold that is not settled in MySQL is nobody's.
fn take_every_hold_for_an_orphan(
    gate: Option<&Gate>,
    truth: &Truth,
    seq_after: Option<i64>,
) -> Verdict {
    let mut blind = truth.clone();
    for order in blind.orders.values_mut() {
        order.is_settled = true;
    }
    decide(gate, &blind, seq_after)
}

#[test]
fn every_guard_that_is_taken_away_is_missed() {
    for (guard, doctored) in [
        ("unconfirmed", ignore_the_unconfirmed as Decide),
        ("version", ignore_the_version),
        ("unacknowledged", ignore_the_unacknowledged),
        ("in flight", take_every_hold_for_an_orphan),
    ] {
        assert!(
            nothing_is_corrected_without_a_loss(doctored).is_err(),
            "{guard}"
        );
    }
}
