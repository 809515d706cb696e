//! What may happen to a ledger, at random.

use holdfast_stock::{Command, Id, Policy, Retention, Until};
use proptest::prelude::*;

/// Short, so that a random clock gets past it.
pub const POLICY: Policy = Policy {
    default_hold_ms: 150,
    longest_hold_ms: 500,
    expires_at_once: 256,
};

/// Something happens after the clock has moved.
#[derive(Clone, Debug)]
pub struct Step {
    /// Clocks go back too.
    pub passes_ms: i64,
    /// What a command may expire.
    pub expires_at_once: usize,
    pub event: Event,
}

#[derive(Clone, Debug)]
pub enum Event {
    Command(Command),
    /// The sweep comes by, for so many holds at most.
    Sweep(usize),
    Forget(Retention, usize),
    /// The ledger is written to an RDB file and read again.
    Restart,
    /// The same by way of a rewritten AOF.
    Rewrite,
    /// The replica takes over.
    Failover,
    /// The heap is tidied, so many chunks at a time.
    Defrag(u8),
}

/// Steps on a ledger with so many ids, which come up again and again.
pub fn steps(ids: u16, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let passes_ms = prop_oneof![
        6 => Just(0),
        6 => 1..60_i64,
        2 => 60..700_i64,
        1 => -200..0_i64,
    ];
    let expires_at_once = prop_oneof![2 => Just(POLICY.expires_at_once), 1 => 0..4_usize];
    let step =
        (passes_ms, expires_at_once, event(ids)).prop_map(|(passes_ms, expires_at_once, event)| {
            Step {
                passes_ms,
                expires_at_once,
                event,
            }
        });
    proptest::collection::vec(step, 1..most)
}

fn event(ids: u16) -> impl Strategy<Value = Event> {
    let kept_ms = || prop_oneof![Just(0), 0..2_000_u64];
    let retention = (kept_ms(), 0..9_u64, kept_ms(), 0..9_u64);
    let retention =
        retention.prop_map(
            |(outcome_ms, outcomes, adjustment_ms, adjustments)| Retention {
                outcome_ms,
                outcomes,
                adjustment_ms,
                adjustments,
                longest_hold_ms: POLICY.longest_hold_ms,
            },
        );
    prop_oneof![
        40 => command(ids).prop_map(Event::Command),
        6 => (1..6_usize).prop_map(Event::Sweep),
        4 => (retention, 1..9_usize).prop_map(|(retention, limit)| Event::Forget(retention, limit)),
        1 => Just(Event::Restart),
        1 => Just(Event::Rewrite),
        1 => Just(Event::Failover),
        1 => any::<u8>().prop_map(Event::Defrag),
    ]
}

/// Ids of all kinds: UUIDs, short ones with any bytes, long ones.
pub fn id(n: u16) -> Id {
    let text = match n % 3 {
        0 => format!("0190f3a2-7c1e-7abc-8def-01234567{n:04x}"),
        1 => format!("order\0{n}"),
        _ => format!("{}{n:04}", "x".repeat(60)),
    };
    Id::new(text.as_bytes()).expect("1 to 64 bytes")
}

fn command(ids: u16) -> impl Strategy<Value = Command> {
    let id = || (0..ids).prop_map(id);
    let only_if = || prop_oneof![4 => Just(None), 1 => (0..40_u64).prop_map(Some)];
    let units = || 1..6_u64;
    let maybe = || prop_oneof![2 => Just(None), 1 => (1..6_u64).prop_map(Some)];
    let until = prop_oneof![
        3 => Just(Until::Default),
        6 => (1..400_u64).prop_map(Until::In),
        1 => Just(Until::In(POLICY.longest_hold_ms + 1)),
        2 => (1_000..3_000_u64).prop_map(Until::At),
    ];
    let count = 0..4 * u64::from(ids);
    let set = (count, only_if(), any::<bool>());
    let adjust = (
        -9..9_i64,
        proptest::option::of(id()),
        only_if(),
        any::<bool>(),
    );
    let adjust = adjust.prop_filter("a delta moves something", |(delta, ..)| *delta != 0);
    prop_oneof![
        1 => set.prop_map(|(on_hand, only_if, force)| Command::Set { on_hand, only_if, force }),
        2 => adjust.prop_map(|(delta, id, only_if, force)| Command::Adjust { delta, id, only_if, force }),
        8 => (id(), units(), until).prop_map(|(id, quantity, until)| Command::Reserve { id, quantity, until }),
        3 => (id(), maybe()).prop_map(|(id, late)| Command::Prepare { id, late }),
        2 => (id(), 1..600_u64).prop_map(|(id, for_ms)| Command::Extend { id, for_ms }),
        4 => (id(), maybe(), maybe()).prop_map(|(id, quantity, late)| Command::Confirm { id, quantity, late }),
        2 => id().prop_map(|id| Command::Release { id }),
        3 => (id(), id(), units()).prop_map(|(id, return_id, quantity)| Command::Return { id, return_id, quantity }),
    ]
}
