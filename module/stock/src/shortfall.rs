//! Which holds are not covered, when FORCE has put the count below what is held.

use std::collections::BTreeMap;

use crate::Hold;

/// The shortfall falls on the youngest holds: the oldest are covered as far as the count goes, and units
/// that come back cover the oldest short hold first. So the short holds are always the youngest, and all
/// that need be kept is where they begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortfall {
    /// Units missing in all.
    missing: u64,
    /// The number of the oldest short hold; meaningless while nothing is missing.
    from: u64,
    /// Units of the holds from there on; at least `missing`, and less without the oldest of them.
    young: u64,
}

impl Shortfall {
    /// Units missing in all.
    #[cfg(test)]
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Units missing from the hold with this number.
    pub(crate) fn of(&self, number: u64, quantity: u64) -> u64 {
        if self.missing == 0 || number < self.from {
            0
        } else if number == self.from {
            // What is covered of the young is covered of their oldest.
            quantity - (self.young - self.missing)
        } else {
            quantity
        }
    }

    /// A hold was added.
    pub(crate) fn added(&mut self, number: u64, quantity: u64) {
        if self.missing > 0 && number >= self.from {
            self.young += quantity;
        }
    }

    /// A hold was taken out.
    pub(crate) fn removed(&mut self, number: u64, quantity: u64) {
        if self.missing > 0 && number >= self.from {
            self.young -= quantity;
        }
    }

    /// Moves the beginning to where `missing` units of the youngest holds end.
    pub(crate) fn settle(&mut self, missing: u64, holds: &BTreeMap<u64, Hold>) {
        if self.missing == 0 {
            self.from = u64::MAX;
            self.young = 0;
        }
        self.missing = missing;
        if missing == 0 {
            return;
        }
        while self.young < missing {
            let Some((&number, hold)) = holds.range(..self.from).next_back() else {
                break;
            };
            self.from = number;
            self.young += hold.quantity;
        }
        while let Some((&number, hold)) = holds.range(self.from..).next() {
            if self.young - hold.quantity < missing {
                self.from = number;
                break;
            }
            self.young -= hold.quantity;
            self.from = number + 1;
        }
    }
}
