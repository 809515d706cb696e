//! A ledger in counts, for those who add up many.

use crate::Ledger;

/// How much a ledger holds and remembers, whatever the time: holds past due count until they are expired. Every count
/// is at hand, so taking them costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Holds, prepared ones among them.
    pub holds: u64,
    /// Holds that are prepared.
    pub prepared: u64,
    /// Units held.
    pub units: u64,
    /// Finished holds that are remembered.
    pub outcomes: u64,
    /// Adjustment ids that are remembered.
    pub adjustments: u64,
}

impl Ledger {
    /// Its counts.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            holds: self.holds.len() as u64,
            prepared: self.holds.prepared() as u64,
            units: self.holds.units(),
            outcomes: self.outcomes.len() as u64,
            adjustments: self.adjustments.len() as u64,
        }
    }
}
