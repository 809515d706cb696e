//! Every interleaving of the smallest case, and the controls that the model checker must find.

use std::time::Instant;

use holdfast_simulation::controls::Control;
use holdfast_simulation::interleavings::{Disasters, Smallest};
use stateright::{Checker, Model};

const CRASH: Disasters = Disasters {
    crashes: 1,
    calls: 0,
    lapses: 1,
    cancellations: 0,
    fail_overs: 0,
    without_redis: false,
};

fn walk(disasters: Disasters) {
    let began = Instant::now();
    let smallest = Smallest {
        disasters,
        control: None,
    };
    let checker = smallest.checker().threads(2).spawn_bfs().join();
    println!(
        "{disasters:?}: {} states, {} of them different, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn two_buyers_one_unit_one_crash() {
    walk(CRASH);
}

#[test]
fn two_buyers_one_unit_one_crash_and_a_call_that_goes_wrong() {
    walk(Disasters { calls: 1, ..CRASH });
}

#[test]
fn two_buyers_one_unit_one_crash_and_a_cancellation() {
    walk(Disasters {
        cancellations: 1,
        ..CRASH
    });
}

#[test]
fn two_buyers_one_unit_and_a_failover() {
    walk(Disasters {
        fail_overs: 1,
        crashes: 0,
        ..CRASH
    });
}

#[test]
fn two_buyers_one_unit_and_a_proxy_that_sells_without_redis() {
    walk(Disasters {
        without_redis: true,
        ..CRASH
    });
}

/// The shortest way to a breach.
fn finds(control: Control, disasters: Disasters) {
    let began = Instant::now();
    let smallest = Smallest {
        disasters,
        control: Some(control),
    };
    let checker = smallest.checker().threads(2).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let path = ["must not", "once", "rest"].iter().find_map(|property| {
        let mut found = discoveries.iter();
        found.find_map(|(name, path)| name.contains(property).then(|| (*name, path.clone())))
    });
    let (name, path) = path.unwrap_or_else(|| panic!("{control:?} was not noticed"));
    println!(
        "{control:?}: not true that {name}, after {} actions; {} states, {:.1} s",
        path.into_actions().len(),
        checker.state_count(),
        began.elapsed().as_secs_f64()
    );
}

#[test]
fn a_second_decider_is_found() {
    finds(Control::NoOutcomeKey, CRASH);
}

#[test]
fn a_sale_that_redis_knows_first_is_found() {
    finds(Control::ConfirmBeforeCommit, CRASH);
}

#[test]
fn units_that_are_released_too_soon_are_found() {
    finds(Control::ReleaseBeforeAbort, CRASH);
}

#[test]
fn a_missing_stock_guard_is_found_where_redis_loses_a_hold() {
    finds(
        Control::NoStockGuard,
        Disasters {
            fail_overs: 1,
            crashes: 0,
            ..CRASH
        },
    );
}

#[test]
fn a_missing_stock_guard_is_found_where_a_proxy_sells_without_redis() {
    finds(
        Control::NoStockGuard,
        Disasters {
            without_redis: true,
            crashes: 0,
            lapses: 0,
            ..CRASH
        },
    );
}
