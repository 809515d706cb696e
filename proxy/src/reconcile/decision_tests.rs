use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn order(outcome: Option<Outcome>, is_settled: bool) -> KnownOrder {
    KnownOrder {
        quantity: 2,
        outcome,
        is_settled,
        is_returned: false,
        may_be_taken_again: true,
    }
}

const SOLD: Option<Outcome> = Some(Outcome::Committed);
const CALLED_OFF: Option<Outcome> = Some(Outcome::Aborted);

fn truth(stock: i64, orders: &[(Uuid, KnownOrder)]) -> Truth {
    Truth {
        stock,
        unacknowledged: Vec::new(),
        orders: orders.iter().copied().collect(),
    }
}

/// Ten units at seq 7, and holds of two units each.
fn gate(live: &[(Uuid, LiveState)]) -> Gate {
    let live = live.iter().map(|(order, state)| LiveHold {
        order: *order,
        quantity: 2,
        state: *state,
    });
    Gate {
        seq: 7,
        on_hand: 10,
        live: live.collect(),
        over: HashSet::new(),
        applied: HashSet::new(),
    }
}

fn decision(gate: &Gate, truth: &Truth) -> Decision {
    decide(Some(gate), truth, Some(gate.seq)).decision
}

fn end(gate: &Gate, truth: &Truth) -> Option<End> {
    let verdict = decide(Some(gate), truth, Some(gate.seq));
    verdict.orphans.first().map(|orphan| orphan.end)
}

#[test]
fn what_differs_is_corrected_at_the_version_that_was_seen() {
    assert_eq!(decision(&gate(&[]), &truth(10, &[])), Decision::Right);
    for stock in [0, 7, 13] {
        let corrected = Decision::Correct {
            delta: stock - 10,
            expected: stock,
            seq: 7,
        };
        assert_eq!(decision(&gate(&[]), &truth(stock, &[])), corrected);
    }
}

#[test]
fn what_changed_meanwhile_is_looked_at_again() {
    let (seen, wrong) = (gate(&[]), truth(3, &[]));
    for seq_after in [None, Some(6), Some(8)] {
        assert_eq!(
            decide(Some(&seen), &wrong, seq_after).decision,
            Decision::Again
        );
    }
    assert_eq!(decide(None, &wrong, Some(1)).decision, Decision::Again);
}

#[test]
fn a_sale_that_redis_has_not_been_told_of_is_no_difference() {
    for state in [
        LiveState::Held,
        LiveState::Prepared,
        LiveState::PreparedLong,
        LiveState::PreparedInDoubt,
    ] {
        for is_settled in [false, true] {
            let sold = truth(8, &[(id(1), order(SOLD, is_settled))]);
            assert_eq!(decision(&gate(&[(id(1), state)]), &sold), Decision::Right);
        }
    }
}

#[test]
fn a_hold_that_is_not_sold_counts_as_stock() {
    for outcome in [None, CALLED_OFF] {
        let unsold = truth(10, &[(id(1), order(outcome, false))]);
        let held = gate(&[(id(1), LiveState::Prepared)]);
        assert_eq!(decision(&held, &unsold), Decision::Right);
    }
}

#[test]
fn a_lost_hold_counts_as_long_as_recovery_will_sell_it_again() {
    let lost = |change: fn(&mut KnownOrder)| {
        let mut order = order(SOLD, false);
        change(&mut order);
        truth(8, &[(id(1), order)])
    };
    assert_eq!(decision(&gate(&[]), &lost(|_| {})), Decision::Right);
    let too_many = Decision::Correct {
        delta: -2,
        expected: 8,
        seq: 7,
    };
    for change in [
        (|order: &mut KnownOrder| order.is_settled = true) as fn(&mut KnownOrder),
        |order| order.may_be_taken_again = false,
        |order| order.is_returned = true,
    ] {
        assert_eq!(decision(&gate(&[]), &lost(change)), too_many);
    }
    let mut over = gate(&[]);
    over.over.insert(id(1));
    assert_eq!(decision(&over, &lost(|_| {})), too_many);
}

fn change(delta: i64, order: Option<Uuid>) -> Change {
    Change {
        adjustment_id: "a-1".into(),
        delta,
        order,
    }
}

#[test]
fn a_change_that_redis_has_not_got_is_no_difference() {
    for delta in [5, -5] {
        let mut waits = truth(10 + delta, &[]);
        waits.unacknowledged = vec![change(delta, None)];
        assert_eq!(decision(&gate(&[]), &waits), Decision::Right);
        let mut told = gate(&[]);
        told.applied.insert("a-1".into());
        let corrected = Decision::Correct {
            delta,
            expected: 10 + delta,
            seq: 7,
        };
        assert_eq!(decision(&told, &waits), corrected);
    }
}

#[test]
fn a_sale_that_redis_has_taken_back_is_not_told_again() {
    let mut cancelled = truth(10, &[(id(1), order(SOLD, false))]);
    cancelled.unacknowledged = vec![change(2, Some(id(1)))];
    // Redis has forgotten the sale, or never heard of it: both are still to be told.
    assert_eq!(decision(&gate(&[]), &cancelled), Decision::Right);
    let mut told = gate(&[]);
    told.applied.insert("a-1".into());
    assert_eq!(decision(&told, &cancelled), Decision::Right);
}

#[test]
fn only_holds_that_nobody_else_ends_are_orphans() {
    let long = gate(&[(id(1), LiveState::PreparedLong)]);
    let young = gate(&[(id(1), LiveState::Prepared)]);
    let returned = KnownOrder {
        is_returned: true,
        ..order(SOLD, true)
    };
    for (known, wanted) in [
        (order(SOLD, true), End::Confirm),
        (order(CALLED_OFF, true), End::Release),
        (returned, End::Release),
        (order(None, true), End::AbortAndRelease),
    ] {
        let known = truth(10, &[(id(1), known)]);
        assert_eq!(end(&long, &known), Some(wanted));
        assert_eq!(end(&young, &known), None);
    }
    assert_eq!(end(&long, &truth(10, &[])), Some(End::AbortAndRelease));
    for outcome in [None, SOLD, CALLED_OFF] {
        let in_flight = truth(10, &[(id(1), order(outcome, false))]);
        assert_eq!(end(&long, &in_flight), None, "{outcome:?} is recovery's");
    }
}

#[test]
fn what_redis_may_have_forgotten_is_told_it_again_whatever_its_age() {
    let doubtful = gate(&[(id(1), LiveState::PreparedInDoubt)]);
    for (known, wanted) in [
        (order(SOLD, true), Some(End::Confirm)),
        (order(CALLED_OFF, true), Some(End::Release)),
        (order(None, true), None),
        (order(SOLD, false), None),
    ] {
        assert_eq!(end(&doubtful, &truth(10, &[(id(1), known)])), wanted);
    }
    // The writer of its order may be on the way.
    assert_eq!(end(&doubtful, &truth(10, &[])), None);
}

#[test]
fn a_sold_hold_whose_preparation_was_lost_too_is_confirmed_before_it_runs_out() {
    let held = gate(&[(id(1), LiveState::Held)]);
    assert_eq!(
        end(&held, &truth(8, &[(id(1), order(SOLD, true))])),
        Some(End::Confirm)
    );
    // A checkout hold has no order yet.
    assert_eq!(end(&held, &truth(10, &[])), None);
}

#[test]
fn a_lost_key_is_made_with_what_is_sold_and_held_for_the_orders_in_flight() {
    let orders = [
        (id(3), order(None, false)),
        (id(4), order(SOLD, false)),
        (id(1), order(None, false)),
        (id(5), order(CALLED_OFF, false)),
        (id(6), order(SOLD, true)),
    ];
    let verdict = decide(None, &truth(20, &orders), None);
    let rebuild = Rebuild {
        on_hand: 22,
        prepares: vec![(id(4), 2), (id(1), 2), (id(3), 2)],
    };
    assert_eq!(verdict.decision, Decision::Rebuild(rebuild));
    assert_eq!(verdict.orphans, []);
}

#[test]
fn a_lost_key_is_made_without_what_is_still_to_be_delivered() {
    let mut waits = truth(20, &[]);
    waits.unacknowledged = vec![change(5, None)];
    assert_eq!(rebuild(&waits).on_hand, 15);
    waits.unacknowledged = vec![change(-5, None)];
    assert_eq!(rebuild(&waits).on_hand, 25);
    waits.unacknowledged = vec![change(21, None)];
    assert_eq!(rebuild(&waits).on_hand, 0, "units of it were sold before");
}
