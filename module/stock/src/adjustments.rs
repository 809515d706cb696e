//! The adjustments that were given an id, remembered so that each is applied once.

use std::collections::BTreeMap;

use crate::Id;

/// One remembered adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The caller's name for it.
    pub id: Id,
    /// Units added, or taken off when negative.
    pub delta: i64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The hold of which it took units back, if it was a return.
    pub hold: Option<Id>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Adjustments {
    by_age: BTreeMap<u64, Adjustment>,
    numbers: BTreeMap<Id, u64>,
}

impl PartialEq for Adjustments {
    fn eq(&self, other: &Self) -> bool {
        self.by_age == other.by_age
    }
}

impl Adjustments {
    pub(crate) fn get(&self, id: &Id) -> Option<&Adjustment> {
        self.by_age.get(self.numbers.get(id)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Adjustment)> {
        self.by_age
            .iter()
            .map(|(&number, adjustment)| (number, adjustment))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether the number or the id is taken.
    pub(crate) fn conflicts(&self, number: u64, id: &Id) -> bool {
        self.by_age.contains_key(&number) || self.numbers.contains_key(id)
    }

    pub(crate) fn insert(&mut self, number: u64, adjustment: Adjustment) {
        self.numbers.insert(adjustment.id.clone(), number);
        self.by_age.insert(number, adjustment);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        if let Some(adjustment) = self.by_age.remove(&number) {
            self.numbers.remove(&adjustment.id);
        }
    }

    pub(crate) fn forget_oldest(&mut self) {
        if let Some((_, adjustment)) = self.by_age.pop_first() {
            self.numbers.remove(&adjustment.id);
        }
    }

    /// An estimate of the memory beyond `Self`, in bytes.
    pub(crate) fn memory(&self) -> usize {
        2 * self.by_age.len() * (size_of::<(u64, Adjustment)>() + size_of::<(Id, u64)>())
    }
}
