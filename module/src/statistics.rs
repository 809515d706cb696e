//! What this node counts: what it keeps at the moment, and what has happened since the module was loaded.
//!
//! All are atomics without a lock, because a value may be freed on a background thread and a crash report reads them
//! from wherever the crash was.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use holdfast_session::State;
use holdfast_stock::{Decision, Effect, Totals, Word};

/// Something that rises only.
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Something that rises and falls.
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Moves it by what came and what went.
    pub(crate) fn change(&self, came: u64, went: u64) {
        if came != went {
            self.0
                .fetch_add((came as i64).wrapping_sub(went as i64), Relaxed);
        }
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value as i64, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Relaxed)).unwrap_or(0)
    }
}

pub(crate) static STOCK_KEYS: Gauge = Gauge::new();
pub(crate) static HOLDS: Gauge = Gauge::new();
pub(crate) static HOLDS_PREPARED: Gauge = Gauge::new();
pub(crate) static UNITS_HELD: Gauge = Gauge::new();
pub(crate) static OUTCOMES: Gauge = Gauge::new();
pub(crate) static ADJUSTMENTS: Gauge = Gauge::new();
pub(crate) static SESSIONS: Gauge = Gauge::new();

/// Keys and holds past due, and since when the longest prepared hold is (0: there is none), as of the last tick.
pub(crate) static DUE_KEYS: Gauge = Gauge::new();
pub(crate) static DUE_HOLDS: Gauge = Gauge::new();
pub(crate) static PREPARED_SINCE_MS: Gauge = Gauge::new();

pub(crate) static SWEEP_SLICES: Counter = Counter::new();
pub(crate) static SWEEP_SLICES_FULL: Counter = Counter::new();
pub(crate) static SWEEP_TOTAL_US: Counter = Counter::new();
pub(crate) static SWEEP_LAST_US: Gauge = Gauge::new();
pub(crate) static SWEEP_LONGEST_US: Gauge = Gauge::new();

pub(crate) static EXPIRED_BY_SWEEP: Counter = Counter::new();
pub(crate) static EXPIRED_BY_COMMAND: Counter = Counter::new();
pub(crate) static FORGOTTEN: Counter = Counter::new();

pub(crate) static UPDATES_PUBLISHED: Counter = Counter::new();
pub(crate) static UPDATES_COALESCED: Counter = Counter::new();
pub(crate) static UPDATES_WAITING: Gauge = Gauge::new();

/// In the order of the enum, whose variants are the places in [`ANSWERED`].
pub(crate) const WORDS: [Word; 14] = [
    Word::Ok,
    Word::Reserved,
    Word::Prepared,
    Word::Extended,
    Word::Confirmed,
    Word::Released,
    Word::Returned,
    Word::OutOfStock,
    Word::Expired,
    Word::SoldOut,
    Word::AlreadyConfirmed,
    Word::UnknownHold,
    Word::BelowHeld,
    Word::Stale,
];
pub(crate) static ANSWERED: [Counter; WORDS.len()] = [const { Counter::new() }; WORDS.len()];
pub(crate) static REPLAYED: Counter = Counter::new();

pub(crate) static SESSIONS_STARTED: Counter = Counter::new();
pub(crate) static SESSIONS_TOUCHED: Counter = Counter::new();
pub(crate) static SESSIONS_ROTATED: Counter = Counter::new();
pub(crate) static SESSIONS_ENDED: Counter = Counter::new();

/// Why a session was refused, in the order of the enum behind `Ok`.
pub(crate) const REFUSALS: [State; 5] = [
    State::Absent,
    State::BadSecret,
    State::IdleExpired,
    State::AbsoluteExpired,
    State::RateLimited,
];
pub(crate) static SESSIONS_REFUSED: [Counter; REFUSALS.len()] =
    [const { Counter::new() }; REFUSALS.len()];

/// A ledger came, changed or went: what it was, and what it is.
pub(crate) fn changed(before: &Totals, after: &Totals) {
    HOLDS.change(after.holds, before.holds);
    HOLDS_PREPARED.change(after.prepared, before.prepared);
    UNITS_HELD.change(after.units, before.units);
    OUTCOMES.change(after.outcomes, before.outcomes);
    ADJUSTMENTS.change(after.adjustments, before.adjustments);
}

/// A command on stock was answered.
pub(crate) fn answered(decision: &Decision) {
    if let Some(counter) = ANSWERED.get(decision.word as usize) {
        counter.add(1);
    }
    REPLAYED.add(decision.replayed.into());
    EXPIRED_BY_COMMAND.add(expired(&decision.effects));
}

/// How many holds the effects expire.
pub(crate) fn expired(effects: &[Effect]) -> u64 {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Expired { count, .. } => *count,
            _ => 0,
        })
        .sum()
}

/// How many entries the effects forget.
pub(crate) fn forgotten(effects: &[Effect]) -> u64 {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Forgotten {
                outcomes,
                adjustments,
            } => outcomes.saturating_add(*adjustments),
            _ => 0,
        })
        .sum()
}

/// A session's secret was checked, to this end; `count` is what counts those that were accepted.
pub(crate) fn checked(state: State, count: &Counter) {
    let refused = REFUSALS.iter().position(|refusal| *refusal == state);
    let refused = refused.and_then(|place| SESSIONS_REFUSED.get(place));
    refused.unwrap_or(count).add(1);
}

/// The sweep worked for so long, and stopped for its slice was over.
pub(crate) fn swept(us: u64, full: bool) {
    SWEEP_SLICES.add(1);
    SWEEP_SLICES_FULL.add(full.into());
    SWEEP_TOTAL_US.add(us);
    SWEEP_LAST_US.set(us);
    SWEEP_LONGEST_US.set(us.max(SWEEP_LONGEST_US.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_own_counter() {
        for (place, word) in WORDS.iter().enumerate() {
            assert_eq!(*word as usize, place, "{word:?}");
        }
    }

    #[test]
    fn a_ledger_that_comes_changes_and_goes_leaves_nothing() {
        let (empty, full) = (
            Totals::default(),
            Totals {
                holds: 3,
                prepared: 1,
                units: 9,
                outcomes: 2,
                adjustments: 5,
            },
        );
        let less = Totals { units: 4, ..full };
        changed(&empty, &full);
        assert_eq!((HOLDS.get(), UNITS_HELD.get()), (3, 9));
        changed(&full, &less);
        assert_eq!((HOLDS.get(), UNITS_HELD.get()), (3, 4));
        changed(&less, &empty);
        assert_eq!(
            (HOLDS.get(), UNITS_HELD.get(), ADJUSTMENTS.get()),
            (0, 0, 0)
        );
    }
}
