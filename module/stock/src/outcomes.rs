//! The finished holds that a ledger remembers.

use crate::Outcome;
use crate::chunks::{Chunks, Entry, Renew};
use crate::names::Names;
use crate::packed::Packed;

/// The finished holds by their number, which is the ledger's `seq` when they ended. Few have anything returned, so how
/// much that is stands apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcomes {
    by_age: Chunks<Packed>,
    returned: Chunks<Returned>,
}

/// Units that came back of the hold with this number; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Returned {
    number: u64,
    units: u64,
}

impl Entry for Returned {
    type Key = u64;

    fn key(&self) -> u64 {
        self.number
    }
}

impl Outcomes {
    pub(crate) fn get(&self, number: u64) -> Option<&Packed> {
        self.by_age.get(number)
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.by_age.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// The whole outcome.
    pub(crate) fn outcome(&self, packed: &Packed, names: &Names) -> Outcome {
        packed.outcome(names, self.returned(packed.number))
    }

    pub(crate) fn insert(&mut self, hold: Packed, returned: u64) {
        self.by_age.insert(hold);
        self.add_returned(hold.number, returned);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Packed> {
        self.returned.remove(number);
        self.by_age.remove(number)
    }

    pub(crate) fn first(&self) -> Option<&Packed> {
        self.by_age.first()
    }

    /// Notes that units of the hold came back.
    pub(crate) fn add_returned(&mut self, number: u64, units: u64) {
        if let Some(returned) = self.returned.get_mut(number) {
            returned.units += units;
        } else if units > 0 {
            self.returned.insert(Returned { number, units });
        }
    }

    /// Its memory in bytes beyond `Self`.
    pub(crate) fn memory(&self) -> usize {
        self.by_age.memory() + self.returned.memory()
    }

    pub(crate) fn parts(&mut self) -> [&mut dyn Renew; 2] {
        [&mut self.by_age, &mut self.returned]
    }

    pub(crate) fn chunks(&self) -> usize {
        self.by_age.chunks() + self.returned.chunks()
    }

    fn returned(&self, number: u64) -> u64 {
        self.returned
            .get(number)
            .map_or(0, |returned| returned.units)
    }
}
