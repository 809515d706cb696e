//! What the benchmarks run on: ledgers and sessions as a shop would have them. The benchmarks themselves are in
//! `benches/`; run them with `cargo bench -p holdfast-benches`.

use holdfast_session::limits::LONGEST_TIMEOUT_MS;
use holdfast_session::{Digest, Effect, Record, Start, Started};
use holdfast_stock::{Command, Id, Ledger, Policy, Until};

/// The time at which the benchmarks begin, in Unix milliseconds.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// The id of the `n`-th hold, a UUID as the proxy gives it.
///
/// # Panics
/// Never: a UUID is 36 bytes long.
#[must_use]
pub fn hold_id(n: u64) -> Id {
    // Spread over the tree, as version 7 UUIDs of many proxies are not in exact order.
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = format!("{:08x}-0000-7000-8000-{:012x}", spread >> 32, n);
    Id::new(text.as_bytes()).expect("a UUID is 36 bytes long")
}

/// Runs a command at [`NOW_MS`], which must be accepted.
///
/// # Panics
/// If the command is misuse.
pub fn run(ledger: &mut Ledger, command: &Command) {
    run_at(ledger, command, NOW_MS);
}

/// Runs a command at this time, at which it must be accepted.
///
/// # Panics
/// If the command is misuse.
pub fn run_at(ledger: &mut Ledger, command: &Command, now_ms: u64) {
    let decision = ledger
        .decide(command, &Policy::default(), now_ms)
        .expect("the benchmarks make sense");
    for effect in &decision.effects {
        ledger
            .apply(effect)
            .expect("what was decided can be applied");
    }
}

/// A ledger with so many live holds of one unit each, their deadlines spread over ten minutes, and units to spare.
#[must_use]
pub fn ledger(holds: u64) -> Ledger {
    let mut ledger = Ledger::default();
    run(
        &mut ledger,
        &Command::Set {
            on_hand: 1 << 40,
            only_if: None,
            force: false,
        },
    );
    for n in 0..holds {
        let until = Until::In(60_000 + n * 540_000 / holds.max(1));
        run(
            &mut ledger,
            &Command::Reserve {
                id: hold_id(n),
                quantity: 1,
                until,
            },
        );
    }
    ledger
}

/// A session with five fields, which lasts for a year: benchmarks make time fly.
///
/// # Panics
/// Never: the session is a sound one.
#[must_use]
pub fn session(digest: Digest) -> Record {
    let start = Start {
        digest,
        user: b"0190f3a2-7c1e-7abc-8def-0123456789ab",
        roles: b"buyer",
        idle_ms: 1_800_000,
        absolute_ms: LONGEST_TIMEOUT_MS,
        fields: vec![
            (b"cart", b"c1"),
            (b"lang", b"en"),
            (b"step", b"2"),
            (b"seen", b"yes"),
            (b"ab", b"b"),
        ],
    };
    match start.decide(None, NOW_MS) {
        Ok(Started::New(_, Effect::Put(record))) => *record,
        other => unreachable!("a session starts where there is none: {other:?}"),
    }
}
