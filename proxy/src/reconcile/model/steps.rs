//! What may happen next.

use proptest::prelude::*;

/// A number picks one of those there are.
#[derive(Debug, Clone)]
pub enum Step {
    /// A buyer reserves.
    Begin(i64),
    /// An order takes its next step.
    Advance(usize),
    /// An order is called off, or cancelled after it was sold.
    Undo(usize),
    /// The shop changes its stock.
    Adjust(i64),
    /// Redis gets a change.
    Deliver(usize),
    /// MySQL hears that Redis has a change.
    Acknowledge(usize),
    /// Time passes, ms.
    Wait(u64),
    /// The reconciler takes its next step: looks at Redis, at MySQL, at Redis again, mends.
    Reconcile,
    /// Another reconciler does all of it at once.
    ReconcileBeside,
    /// A replica of Redis has come this far.
    Replicate,
    /// That replica takes over.
    FailOver,
    /// `FLUSHALL`.
    Flush,
    /// Somebody moves the count by hand.
    Tamper(i64),
}

/// Steps of a shop where nothing is lost.
pub fn lossless() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=4i64).prop_map(Step::Begin),
        16 => (0..20usize).prop_map(Step::Advance),
        2 => (0..20usize).prop_map(Step::Undo),
        1 => (-4..=6i64).prop_map(Step::Adjust),
        2 => (0..6usize).prop_map(Step::Deliver),
        2 => (0..6usize).prop_map(Step::Acknowledge),
        1 => prop_oneof![1..1_000u64, 10_000..20_000u64, 1_000_000..4_000_000u64].prop_map(Step::Wait),
        12 => Just(Step::Reconcile),
        1 => Just(Step::ReconcileBeside),
    ]
}

/// Steps of a shop whose Redis loses things.
pub fn lossy() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => lossless(),
        2 => Just(Step::Replicate),
        1 => Just(Step::FailOver),
        1 => Just(Step::Flush),
        1 => (-3..=3i64).prop_map(Step::Tamper),
    ]
}
