//! One live hold.

use crate::{Id, Word};

/// Units that are set aside for one buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The caller's name for it, an order id as a rule.
    pub id: Id,
    /// Units held.
    pub quantity: u64,
    /// How far the purchase has come.
    pub state: State,
}

/// How far a live hold has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Runs against a deadline in Unix milliseconds, and is past due from that very millisecond.
    Held {
        /// The deadline.
        deadline_ms: u64,
    },
    /// A durable commit is under way elsewhere: only CONFIRM or RELEASE ends it.
    Prepared {
        /// When it was prepared, in Unix milliseconds.
        since_ms: u64,
    },
}

impl State {
    /// The word that reports it.
    #[must_use]
    pub fn word(self) -> Word {
        match self {
            Self::Held { .. } => Word::Reserved,
            Self::Prepared { .. } => Word::Prepared,
        }
    }
}

impl Hold {
    /// The deadline in Unix milliseconds, 0 for a prepared hold, which has none.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        match self.state {
            State::Held { deadline_ms } => deadline_ms,
            State::Prepared { .. } => 0,
        }
    }

    /// Whether its deadline has come. A prepared hold is never due.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Held { deadline_ms } if deadline_ms <= now_ms)
    }
}
