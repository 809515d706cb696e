//! How many of the held units are past their deadline.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Deadlines in order, each with its hold's number, and the units of that hold.
pub(crate) type Deadlines = BTreeMap<(u64, u64), u64>;

/// A running count of what is due, so that each hold is counted once when its deadline passes and not
/// again by every command until the sweep gets to it: with a million due at the same instant, that is the
/// difference between one walk of them and one a command.
///
/// It is a cache of what [`Deadlines`] says, moved along by readers; hence the cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    counted_to_ms: Cell<u64>,
    units: Cell<u64>,
    holds: Cell<u64>,
}

impl Due {
    /// Units and holds whose deadline is `now_ms` or earlier.
    pub(crate) fn count(&self, deadlines: &Deadlines, now_ms: u64) -> (u64, u64) {
        if now_ms < self.counted_to_ms.get() {
            // The clock went back: count afresh.
            self.counted_to_ms.set(0);
            self.units.set(0);
            self.holds.set(0);
        }
        let from = Bound::Excluded((self.counted_to_ms.get(), u64::MAX));
        let to = Bound::Included((now_ms, u64::MAX));
        if now_ms > self.counted_to_ms.get() {
            for units in deadlines.range((from, to)).map(|(_, units)| units) {
                self.units.set(self.units.get() + units);
                self.holds.set(self.holds.get() + 1);
            }
            self.counted_to_ms.set(now_ms);
        }
        (self.units.get(), self.holds.get())
    }

    /// A deadline was added to the deadlines.
    pub(crate) fn added(&self, deadline_ms: u64, units: u64) {
        if deadline_ms <= self.counted_to_ms.get() {
            self.units.set(self.units.get() + units);
            self.holds.set(self.holds.get() + 1);
        }
    }

    /// A deadline was taken out of the deadlines.
    pub(crate) fn removed(&self, deadline_ms: u64, units: u64) {
        if deadline_ms <= self.counted_to_ms.get() {
            self.units.set(self.units.get() - units);
            self.holds.set(self.holds.get() - 1);
        }
    }
}
