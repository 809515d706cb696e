//! How long finished holds and adjustment ids are remembered.

use crate::{Effect, Ledger, Policy};

/// The limits of what a ledger remembers. The oldest go first; [`Ledger::forgettable`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Outcomes older than this are dropped, in milliseconds.
    pub outcome_ms: u64,
    /// Beyond so many outcomes, those older than the longest hold are dropped too.
    pub outcomes: u64,
    /// Adjustment ids older than this are dropped, in milliseconds.
    pub adjustment_ms: u64,
    /// Beyond so many adjustment ids, those older than the longest hold are dropped too.
    pub adjustments: u64,
    /// Whatever the others say, nothing younger than this is dropped, in milliseconds: the longest that a hold
    /// may last ([`crate::Policy::longest_hold_ms`]), so that a retry within its life finds the first answer.
    pub longest_hold_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY_MS: u64 = 86_400_000;
        Self {
            outcome_ms: 3_600_000,
            outcomes: 1_000_000,
            adjustment_ms: 7 * DAY_MS,
            adjustments: 10_000,
            longest_hold_ms: Policy::default().longest_hold_ms,
        }
    }
}

impl Retention {
    /// When an outcome from `at_ms` may go, `kept` of them being remembered.
    fn outcome_goes_ms(&self, at_ms: u64, kept: usize) -> u64 {
        self.goes_ms(at_ms, kept as u64 > self.outcomes, self.outcome_ms)
    }

    fn adjustment_goes_ms(&self, at_ms: u64, kept: usize) -> u64 {
        self.goes_ms(at_ms, kept as u64 > self.adjustments, self.adjustment_ms)
    }

    /// A RESERVE that was delayed for as long as a hold can last must still find its id finished, and a repeated
    /// return or adjustment its own.
    fn goes_ms(&self, at_ms: u64, too_many: bool, kept_ms: u64) -> u64 {
        let kept_ms = if too_many { 0 } else { kept_ms };
        at_ms.saturating_add(kept_ms.max(self.longest_hold_ms))
    }
}

impl Ledger {
    /// The effect that drops what need not be remembered any more, at most `limit` entries of each kind.
    #[must_use]
    pub fn forgettable(&self, retention: &Retention, now_ms: u64, limit: usize) -> Option<Effect> {
        let kept = self.outcome_count();
        let outcomes = (self.outcomes.iter().take(limit).enumerate())
            .take_while(|(gone, outcome)| {
                retention.outcome_goes_ms(outcome.time_ms(), kept - gone) <= now_ms
            })
            .count() as u64;
        let kept = self.adjustments.len();
        let adjustments = (self.adjustments.iter().take(limit).enumerate())
            .take_while(|(gone, known)| {
                retention.adjustment_goes_ms(known.adjustment.at_ms, kept - gone) <= now_ms
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
        let deadline = self.holds.next_deadline_ms();
        let outcome = self
            .outcomes
            .first()
            .map(|outcome| retention.outcome_goes_ms(outcome.time_ms(), self.outcomes.len()));
        let adjustment = self.adjustments.first().map(|known| {
            retention.adjustment_goes_ms(known.adjustment.at_ms, self.adjustments.len())
        });
        [deadline, outcome, adjustment].into_iter().flatten().min()
    }
}
