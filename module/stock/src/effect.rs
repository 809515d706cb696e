//! The changes that a ledger can undergo.

use crate::Id;

/// One change of a ledger, with every time absolute: what is applied, replicated and written to the AOF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The count was set, and the ledger created if it did not exist.
    Counted {
        /// Units in the house from now on.
        on_hand: u64,
    },
    /// The count was moved by `delta`.
    Adjusted {
        /// Units added, or taken off when negative.
        delta: i64,
        /// The caller's name for the adjustment, under which a retry finds it.
        id: Option<Id>,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// A hold was taken.
    Reserved {
        /// The hold's id.
        id: Id,
        /// Units held.
        quantity: u64,
        /// Its deadline in Unix milliseconds.
        deadline_ms: u64,
    },
    /// A hold that had expired, or that a failover had lost, was taken again and is prepared at once.
    Retaken {
        /// The hold's id.
        id: Id,
        /// Units held.
        quantity: u64,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// A hold lost its deadline.
    Prepared {
        /// The hold's id.
        id: Id,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// A hold got a later deadline.
    Extended {
        /// The hold's id.
        id: Id,
        /// The new deadline in Unix milliseconds.
        deadline_ms: u64,
    },
    /// A hold was sold.
    Confirmed {
        /// The hold's id.
        id: Id,
        /// Units sold; what the hold had beyond them is free again.
        quantity: u64,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// A hold was given back, or refused before it came.
    Released {
        /// The hold's id.
        id: Id,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// Units of a confirmed hold came back.
    Returned {
        /// The hold's id.
        id: Id,
        /// The caller's name for the return, under which a retry finds it among the adjustments.
        return_id: Id,
        /// Units that came back.
        quantity: u64,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// The `count` holds with the earliest deadlines expired. All ledgers order them alike, so no id is needed.
    Expired {
        /// How many.
        count: u64,
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
    /// The oldest outcomes and adjustment ids were dropped.
    Forgotten {
        /// How many outcomes.
        outcomes: u64,
        /// How many adjustment ids.
        adjustments: u64,
    },
}

impl Effect {
    /// By how much it raises the ledger's `seq`: each hold that expires is a change of its own.
    #[must_use]
    pub fn changes(&self) -> u64 {
        match self {
            Self::Expired { count, .. } => *count,
            _ => 1,
        }
    }
}
