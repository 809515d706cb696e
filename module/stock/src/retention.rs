//! How long finished holds and adjustment ids are remembered.

use crate::{Effect, LONGEST_HOLD_MS, Ledger};

/// The limits of what a ledger remembers. The oldest go first; [`Ledger::forgettable`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Outcomes older than this are dropped, in milliseconds; at least [`LONGEST_HOLD_MS`] counts.
    pub outcome_ms: u64,
    /// Beyond so many outcomes, those older than the longest hold are dropped too.
    pub outcomes: u64,
    /// Adjustment ids older than this are dropped, in milliseconds.
    pub adjustment_ms: u64,
    /// Beyond so many adjustment ids, those older than the longest hold are dropped too.
    pub adjustments: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY_MS: u64 = 86_400_000;
        Self {
            outcome_ms: LONGEST_HOLD_MS,
            outcomes: 1_000_000,
            adjustment_ms: 7 * DAY_MS,
            adjustments: 10_000,
        }
    }
}

impl Retention {
    /// When an outcome from `at_ms` may go, the youngest that is allowed being the longest hold's age: a
    /// RESERVE that was delayed for as long as a hold can last must still find its id finished.
    fn outcome_goes_ms(&self, at_ms: u64, kept: usize) -> u64 {
        let over = kept as u64 > self.outcomes;
        at_ms.saturating_add(if over {
            LONGEST_HOLD_MS
        } else {
            self.outcome_ms.max(LONGEST_HOLD_MS)
        })
    }

    fn adjustment_goes_ms(&self, at_ms: u64, kept: usize) -> u64 {
        let over = kept as u64 > self.adjustments;
        at_ms.saturating_add(if over {
            LONGEST_HOLD_MS
        } else {
            self.adjustment_ms.max(LONGEST_HOLD_MS)
        })
    }
}

impl Ledger {
    /// The effect that drops what need not be remembered any more, at most `limit` entries of each kind.
    #[must_use]
    pub fn forgettable(&self, retention: &Retention, now_ms: u64, limit: usize) -> Option<Effect> {
        let kept = self.outcome_count();
        let outcomes = (self.outcomes().take(limit).enumerate())
            .take_while(|(gone, (_, outcome))| {
                retention.outcome_goes_ms(outcome.at_ms, kept - gone) <= now_ms
            })
            .count() as u64;
        let kept = self.adjustments.len();
        let adjustments = (self.adjustments.iter().take(limit).enumerate())
            .take_while(|(gone, (_, adjustment))| {
                retention.adjustment_goes_ms(adjustment.at_ms, kept - gone) <= now_ms
            })
            .count() as u64;
        (outcomes + adjustments > 0).then_some(Effect::Forgotten {
            outcomes,
            adjustments,
        })
    }

    /// When something falls due next in this ledger, a hold or a memory; `None` when nothing will.
    #[must_use]
    pub fn next_event_ms(&self, retention: &Retention) -> Option<u64> {
        let deadline = self
            .holds
            .by_deadline()
            .next()
            .map(|(deadline_ms, ..)| deadline_ms);
        let outcome = self
            .outcomes()
            .next()
            .map(|(_, outcome)| retention.outcome_goes_ms(outcome.at_ms, self.outcome_count()));
        let adjustment = (self.adjustments.iter().next()).map(|(_, adjustment)| {
            retention.adjustment_goes_ms(adjustment.at_ms, self.adjustments.len())
        });
        [deadline, outcome, adjustment].into_iter().flatten().min()
    }
}
