//! The ledger of one SKU and how it is read.

use std::collections::BTreeMap;

use crate::adjustments::Adjustments;
use crate::holds::Holds;
use crate::{Effect, Hold, Id, Outcome};

/// The stock of one SKU: the count, the live holds, and the outcomes of finished ones.
///
/// Two ledgers are equal when every command would find them alike, whatever they have cached.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) on_hand: u64,
    pub(crate) sold: u64,
    pub(crate) seq: u64,
    /// Every known hold id, with the number under which it is found among the holds or the outcomes. A number
    /// is the `seq` at which the hold was taken, or ended, so no two are the same.
    pub(crate) numbers: BTreeMap<Id, u64>,
    pub(crate) holds: Holds,
    pub(crate) outcomes: BTreeMap<u64, Outcome>,
    pub(crate) adjustments: Adjustments,
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        (self.on_hand, self.sold, self.seq) == (other.on_hand, other.sold, other.seq)
            && self.holds == other.holds
            && self.outcomes == other.outcomes
            && self.adjustments == other.adjustments
    }
}

/// A ledger in numbers, as of some time: holds past due count as gone. All but `seq` and `holds` in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// In the house, not yet sold.
    pub on_hand: u64,
    /// Set aside by live holds.
    pub held: u64,
    /// Of these, by prepared holds.
    pub prepared: u64,
    /// Free to be held.
    pub available: u64,
    /// Confirmed and not returned.
    pub sold: u64,
    /// Rises by one with every change.
    pub seq: u64,
    /// Live holds.
    pub holds: u64,
    /// Held beyond what is in the house, after a FORCE.
    pub shortfall: u64,
}

/// How a hold id stands at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never heard of, or forgotten.
    Unknown,
    /// Live.
    Live(Hold),
    /// Past its deadline, though the sweep has not come by.
    Due(Hold),
    /// Over.
    Finished(Outcome),
}

impl Ledger {
    /// The ledger's version: 0 before it was first counted, then one more with every change.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Units that can be held at `now_ms`.
    #[must_use]
    pub fn available(&self, now_ms: u64) -> u64 {
        let held = self.holds.units() - self.holds.due(now_ms).0;
        self.on_hand.saturating_sub(held)
    }

    /// The ledger in numbers at `now_ms`.
    #[must_use]
    pub fn summary(&self, now_ms: u64) -> Summary {
        let (due_units, due_holds) = self.holds.due(now_ms);
        let held = self.holds.units() - due_units;
        Summary {
            on_hand: self.on_hand,
            held,
            prepared: self.holds.prepared_units(),
            available: self.on_hand.saturating_sub(held),
            sold: self.sold,
            seq: self.seq,
            holds: self.holds.len() as u64 - due_holds,
            shortfall: held.saturating_sub(self.on_hand),
        }
    }

    /// How the hold stands at `now_ms`.
    #[must_use]
    pub fn standing(&self, id: &Id, now_ms: u64) -> Standing {
        let Some(&number) = self.numbers.get(id) else {
            return Standing::Unknown;
        };
        match (self.holds.get(number), self.outcomes.get(&number)) {
            (Some(hold), _) if hold.is_due(now_ms) => Standing::Due(hold.clone()),
            (Some(hold), _) => Standing::Live(hold.clone()),
            (None, Some(outcome)) => Standing::Finished(outcome.clone()),
            (None, None) => Standing::Unknown,
        }
    }

    /// Prepared holds with the time since when, in Unix milliseconds, the longest prepared first.
    pub fn pending(&self) -> impl Iterator<Item = (u64, Hold)> {
        self.holds
            .by_preparation()
            .filter_map(|(since_ms, number)| Some((since_ms, self.holds.get(number)?.clone())))
    }

    /// Since when, in Unix milliseconds, the longest prepared hold is.
    #[must_use]
    pub fn oldest_prepared_ms(&self) -> Option<u64> {
        let (since_ms, _) = self.holds.by_preparation().next()?;
        Some(since_ms)
    }

    /// The effect that expires what is due at `now_ms`, at most `limit` holds.
    #[must_use]
    pub fn overdue(&self, now_ms: u64, limit: usize) -> Option<Effect> {
        let due = self
            .holds
            .by_deadline()
            .take(limit)
            .take_while(|(deadline_ms, ..)| *deadline_ms <= now_ms);
        let count = due.count() as u64;
        (count > 0).then_some(Effect::Expired {
            count,
            at_ms: now_ms,
        })
    }

    /// How many entries it has: holds, outcomes, adjustment ids. What freeing it costs.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.holds.len() + self.outcomes.len() + self.adjustments.len()
    }

    /// An estimate of its memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let outcomes = 2 * self.outcomes.len() * size_of::<(u64, Outcome)>();
        let numbers = self.numbers.len() * size_of::<(Id, u64)>() * 3 / 2;
        size_of::<Self>() + self.holds.memory() + outcomes + numbers + self.adjustments.memory()
    }

    /// Finished holds by their number, the oldest first.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (u64, &Outcome)> {
        self.outcomes
            .iter()
            .map(|(&number, outcome)| (number, outcome))
    }

    /// How many finished holds it remembers.
    #[must_use]
    pub fn outcome_count(&self) -> usize {
        self.outcomes.len()
    }
}
