//! The words that answer a command, and what is remembered of a finished hold.

use crate::{Effect, Id};

/// The first element of every reply to a command that changes stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The count was set or adjusted.
    Ok,
    /// The hold is live.
    Reserved,
    /// The hold has no deadline any more.
    Prepared,
    /// The hold runs until the deadline in the reply.
    Extended,
    /// The units are sold.
    Confirmed,
    /// The units were given back, or never taken.
    Released,
    /// The sold units are back in the house.
    Returned,
    /// Fewer units are available than were asked for.
    OutOfStock,
    /// The deadline passed before the purchase was confirmed.
    Expired,
    /// A late or short hold cannot be covered.
    SoldOut,
    /// The units are sold, so they cannot be held or released again.
    AlreadyConfirmed,
    /// No hold of that id is known.
    UnknownHold,
    /// The count would fall below what is held.
    BelowHeld,
    /// The ledger has changed since the `seq` of the IF.
    Stale,
}

impl Word {
    /// The word as it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Reserved => "RESERVED",
            Self::Prepared => "PREPARED",
            Self::Extended => "EXTENDED",
            Self::Confirmed => "CONFIRMED",
            Self::Released => "RELEASED",
            Self::Returned => "RETURNED",
            Self::OutOfStock => "OUT_OF_STOCK",
            Self::Expired => "EXPIRED",
            Self::SoldOut => "SOLD_OUT",
            Self::AlreadyConfirmed => "ALREADY_CONFIRMED",
            Self::UnknownHold => "UNKNOWN_HOLD",
            Self::BelowHeld => "BELOW_HELD",
            Self::Stale => "STALE",
        }
    }
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Sold.
    Confirmed,
    /// Given back by its owner.
    Released,
    /// Given back by its deadline.
    Expired,
}

impl Ending {
    /// The word that reports it.
    #[must_use]
    pub fn word(self) -> Word {
        match self {
            Self::Confirmed => Word::Confirmed,
            Self::Released => Word::Released,
            Self::Expired => Word::Expired,
        }
    }
}

/// What is remembered of a finished hold, so that a retry gets the first answer again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The hold's id.
    pub id: Id,
    /// How it ended.
    pub ending: Ending,
    /// Units sold (CONFIRMED) or given back; 0 where a RELEASE came before any RESERVE.
    pub quantity: u64,
    /// Of the units sold, those that were returned since.
    pub returned: u64,
    /// When it ended, in Unix milliseconds.
    pub at_ms: u64,
}

impl Outcome {
    /// Units that were sold, whether or not they came back.
    pub(crate) fn sold(&self) -> u64 {
        match self.ending {
            Ending::Confirmed => self.quantity,
            Ending::Released | Ending::Expired => 0,
        }
    }

    /// Units that were sold and have not come back.
    pub(crate) fn returnable(&self) -> u64 {
        self.sold().saturating_sub(self.returned)
    }
}

/// What a command comes to: the answer, and the effects that make it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The outcome.
    pub word: Word,
    /// The hold's deadline in Unix milliseconds, 0 where there is none.
    pub deadline_ms: u64,
    /// Whether this only repeats what an earlier command had brought about.
    pub replayed: bool,
    /// To be applied in this order, all or none. Empty when nothing changes.
    pub effects: Vec<Effect>,
}

impl Decision {
    /// Nothing changes, and nothing like it had been done before: a refusal.
    pub(crate) fn refused(word: Word) -> Self {
        Self {
            word,
            deadline_ms: 0,
            replayed: false,
            effects: Vec::new(),
        }
    }

    /// Nothing changes, because it had been done before.
    pub(crate) fn replayed(word: Word, deadline_ms: u64) -> Self {
        Self {
            word,
            deadline_ms,
            replayed: true,
            effects: Vec::new(),
        }
    }

    pub(crate) fn done(word: Word, deadline_ms: u64, effects: Vec<Effect>) -> Self {
        Self {
            word,
            deadline_ms,
            replayed: false,
            effects,
        }
    }
}
