//! The ledger of one SKU and how it is read.

use crate::adjustments::Adjustments;
use crate::holds::Holds;
use crate::names::{Names, Room};
use crate::outcomes::Outcomes;
use crate::packed::Packed;
use crate::{Adjustment, Effect, Hold, Id, Outcome};

/// The stock of one SKU: the count, the live holds, and the outcomes of finished ones.
///
/// Two ledgers are equal when every command would find them alike.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub(crate) on_hand: u64,
    pub(crate) sold: u64,
    pub(crate) seq: u64,
    pub(crate) holds: Holds,
    pub(crate) outcomes: Outcomes,
    pub(crate) adjustments: Adjustments,
    pub(crate) names: Names,
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        (self.on_hand, self.sold, self.seq) == (other.on_hand, other.sold, other.seq)
            && self.holds == other.holds
            && self.outcomes == other.outcomes
            && self.adjustments == other.adjustments
            && self.names.are_like(&other.names)
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

/// A hold that is known, with its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    Live(Packed),
    Finished(Packed),
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
        self.on_hand.saturating_sub(self.held(now_ms))
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
            holds: (self.holds.len() - due_holds) as u64,
            shortfall: held.saturating_sub(self.on_hand),
        }
    }

    /// How the hold stands at `now_ms`.
    #[must_use]
    pub fn standing(&self, id: &Id, now_ms: u64) -> Standing {
        match self.known(id) {
            None => Standing::Unknown,
            Some(Known::Live(hold)) if hold.is_due(now_ms) => Standing::Due(hold.hold(&self.names)),
            Some(Known::Live(hold)) => Standing::Live(hold.hold(&self.names)),
            Some(Known::Finished(hold)) => {
                Standing::Finished(self.outcomes.outcome(&hold, &self.names))
            }
        }
    }

    /// Prepared holds with the time since when, in Unix milliseconds, the longest prepared first.
    pub fn pending(&self) -> impl Iterator<Item = (u64, Hold)> {
        self.holds.by_preparation().filter_map(|prepared| {
            let hold = self.holds.get(prepared.number)?;
            Some((prepared.time_ms, hold.hold(&self.names)))
        })
    }

    /// Since when, in Unix milliseconds, the longest prepared hold is.
    #[must_use]
    pub fn oldest_prepared_ms(&self) -> Option<u64> {
        let oldest = self.holds.by_preparation().next()?;
        Some(oldest.time_ms)
    }

    /// The effect that expires what is due at `now_ms`, at most `limit` holds.
    #[must_use]
    pub fn overdue(&self, now_ms: u64, limit: usize) -> Option<Effect> {
        let count = self.holds.overdue(now_ms).take(limit).count() as u64;
        (count > 0).then_some(Effect::Expired {
            count,
            at_ms: now_ms,
        })
    }

    /// How many finished holds it remembers.
    #[must_use]
    pub fn outcome_count(&self) -> usize {
        self.outcomes.len()
    }

    /// How many adjustment ids it remembers, returns among them.
    #[must_use]
    pub fn adjustment_count(&self) -> usize {
        self.adjustments.len()
    }

    /// Units held, without holds past due.
    pub(crate) fn held(&self, now_ms: u64) -> u64 {
        self.holds.units() - self.holds.due(now_ms).0
    }

    /// The hold with this id, live or finished.
    pub(crate) fn known(&self, id: &Id) -> Option<Known> {
        self.names.find(id).find_map(|(room, number)| {
            let known = match room {
                Room::Live => Known::Live(*self.holds.get(number)?),
                Room::Finished => Known::Finished(*self.outcomes.get(number)?),
                Room::Adjustments => return None,
            };
            let (Known::Live(hold) | Known::Finished(hold)) = &known;
            hold.is(id, &self.names).then_some(known)
        })
    }

    /// The adjustment with this id.
    pub(crate) fn adjustment(&self, id: &Id) -> Option<&Adjustment> {
        self.names.find(id).find_map(|(room, number)| {
            let known = match room {
                Room::Adjustments => &self.adjustments.get(number)?.adjustment,
                Room::Live | Room::Finished => return None,
            };
            (known.id == *id).then_some(known)
        })
    }
}
