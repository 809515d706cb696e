//! The adjustments that were given an id, remembered so that each is applied once.

use crate::Id;
use crate::chunks::{Chunks, Entry};

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

/// The adjustments by their number, which is the ledger's `seq` when they were applied.
pub(crate) type Adjustments = Chunks<Numbered>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) adjustment: Adjustment,
}

impl Entry for Numbered {
    type Key = u64;

    fn key(&self) -> u64 {
        self.number
    }

    fn weight(&self) -> u64 {
        let hold = self.adjustment.hold.as_ref().map_or(0, Id::heap_bytes);
        (self.adjustment.id.heap_bytes() + hold) as u64
    }

    fn renew(&mut self) {
        self.adjustment.id.renew();
        if let Some(hold) = &mut self.adjustment.hold {
            hold.renew();
        }
    }
}
