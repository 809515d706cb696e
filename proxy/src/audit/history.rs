//! What an order's history demands to be told, by docs/events.md, and whether that is what was told.

use super::evidence::events::{Event, Kind, Place};
use super::evidence::orders::{Order, Outcome, Status};

const BEGUN: [Kind; 3] = [
    Kind::SagaStarted,
    Kind::InventoryReserved,
    Kind::OrderCreated,
];

/// The events that the order's history demands.
pub fn wanted_events(order: &Order, reason: &str, was_returned: bool) -> Vec<Kind> {
    let mut events = BEGUN.to_vec();
    match order.outcome {
        Some(Outcome::Committed) => {
            events.extend([Kind::PaymentProcessed, Kind::OrderConfirmed]);
            if was_returned {
                events.push(Kind::OrderCancelled);
            }
        }
        // One that was decided before it was recorded has no reason until it is called off.
        Some(Outcome::Aborted) if !reason.is_empty() => {
            if matches!(
                reason,
                "payment_declined" | "payment_failed" | "payment_timeout"
            ) {
                events.push(Kind::PaymentFailed);
            }
            events.push(Kind::InventoryReleased);
            let ran_out = matches!(reason, "abandoned" | "payment_timeout" | "hold_expired");
            events.push(match order.status {
                Status::Cancelled => Kind::OrderCancelled,
                Status::Expired => Kind::OrderExpired,
                _ if ran_out => Kind::OrderExpired,
                _ => Kind::OrderCancelled,
            });
        }
        _ => {}
    }
    if order.status == Status::Refunded {
        events.push(Kind::OrderRefunded);
    }
    events
}

/// True when `told` is `wanted` without its first `missed`, and what follows then happened after
/// MySQL was read and may follow.
pub fn is_told(wanted: &[Kind], missed: usize, told: &[&Event]) -> bool {
    let wanted = &wanted[missed..];
    let begins = told
        .iter()
        .map(|event| event.kind)
        .take(wanted.len())
        .eq(wanted.iter().copied());
    let mut last = wanted.last().copied();
    begins
        && told[wanted.len()..].iter().all(|event| {
            let follows = event.place == Place::Late && may_follow(last, event.kind);
            last = Some(event.kind);
            follows || missed > 0 && event.place == Place::Late
        })
}

/// What may be told next of an order of which `last` was told last.
pub fn may_follow(last: Option<Kind>, next: Kind) -> bool {
    use Kind::{
        InventoryReleased, InventoryReserved, OrderCancelled, OrderConfirmed, OrderCreated,
        OrderExpired, OrderRefunded, PaymentFailed, PaymentProcessed, SagaStarted,
    };
    match last {
        None => next == SagaStarted,
        Some(SagaStarted) => matches!(next, InventoryReserved | OrderCancelled),
        Some(InventoryReserved) => next == OrderCreated,
        Some(OrderCreated) => matches!(next, PaymentProcessed | PaymentFailed | InventoryReleased),
        Some(PaymentProcessed) => next == OrderConfirmed,
        Some(PaymentFailed) => next == InventoryReleased,
        Some(InventoryReleased) => matches!(next, OrderCancelled | OrderExpired),
        Some(OrderConfirmed) => next == OrderCancelled,
        Some(OrderCancelled | OrderExpired) => next == OrderRefunded,
        Some(OrderRefunded | Kind::Unknown) => false,
    }
}

/// What is wrong with what was told: a word for scripts, and one for people.
pub fn difference(wanted: &[Kind], told: &[&Event]) -> (&'static str, String) {
    let kinds: Vec<Kind> = told.iter().map(|event| event.kind).collect();
    let missing: Vec<Kind> = wanted
        .iter()
        .filter(|kind| !kinds.contains(kind))
        .copied()
        .collect();
    if !missing.is_empty() {
        return (
            "missing_event",
            format!("{missing:?} is missing; told are {kinds:?}"),
        );
    }
    if kinds.len() > wanted.len() {
        return ("extra_event", format!("too much is told: {kinds:?}"));
    }
    (
        "reordered_events",
        format!("told in another order than it happened: {kinds:?}"),
    )
}
