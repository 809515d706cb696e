//! What a caller asks of a ledger, and how it can be asked wrongly.

use thiserror::Error;

use crate::Id;

/// A command, its arguments already parsed. Quantities are 1 to [`crate::MAX_UNITS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets the count.
    Set {
        /// Units in the house, 0 to [`crate::MAX_UNITS`].
        on_hand: u64,
        /// Only if the ledger's `seq` is this one; 0 means that it must not exist.
        only_if: Option<u64>,
        /// Even below what is held.
        force: bool,
    },
    /// Moves the count.
    Adjust {
        /// Units added, or taken off when negative.
        delta: i64,
        /// Applied once under this id.
        id: Option<Id>,
        /// Only if the ledger's `seq` is this one.
        only_if: Option<u64>,
        /// Even below what is held.
        force: bool,
    },
    /// Takes a hold.
    Reserve {
        /// The hold's id.
        id: Id,
        /// Units to hold.
        quantity: u64,
        /// Its deadline.
        until: Until,
    },
    /// Stops a hold's deadline.
    Prepare {
        /// The hold's id.
        id: Id,
        /// Take this many units again if the hold is gone.
        late: Option<u64>,
    },
    /// Moves a hold's deadline, forward only.
    Extend {
        /// The hold's id.
        id: Id,
        /// To so many milliseconds from now.
        for_ms: u64,
    },
    /// Sells a hold.
    Confirm {
        /// The hold's id.
        id: Id,
        /// Only so many of its units; the rest are freed.
        quantity: Option<u64>,
        /// Take this many units again if the hold is gone.
        late: Option<u64>,
    },
    /// Gives a hold back.
    Release {
        /// The hold's id.
        id: Id,
    },
    /// Takes back units that were sold.
    Return {
        /// The hold that sold them.
        id: Id,
        /// The return's own id, one of the adjustment ids: it is applied once under this.
        return_id: Id,
        /// Units that come back.
        quantity: u64,
    },
}

/// A deadline as the caller gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// As the [`crate::Policy`] has it where nothing is said.
    Default,
    /// So many milliseconds from now.
    In(u64),
    /// A Unix time in milliseconds.
    At(u64),
}

/// A command that makes no sense, which is an error and not an outcome. Nothing has changed, and repeating
/// the same command gives the same error.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misuse {
    /// The same hold id with another quantity.
    #[error(
        "MISMATCH hold '{id}' is for quantity {quantity}, not {asked}; use another hold id for another quantity"
    )]
    HoldQuantity {
        /// The hold.
        id: Id,
        /// What it is for.
        quantity: u64,
        /// What was asked.
        asked: u64,
    },
    /// The same adjustment id with another delta.
    #[error(
        "MISMATCH adjustment '{id}' was applied with {delta}, not {asked}; use another id for another adjustment"
    )]
    AdjustmentDelta {
        /// The adjustment.
        id: Id,
        /// What it was.
        delta: i64,
        /// What was asked.
        asked: i64,
    },
    /// The same return id for another hold.
    #[error("MISMATCH return '{return_id}' was of hold '{id}'; use another id for another return")]
    ReturnHold {
        /// The return.
        return_id: Id,
        /// The hold that it was of.
        id: Id,
    },
    /// More units confirmed than held.
    #[error("EXCEEDS_HOLD hold '{id}' is for quantity {quantity}, so {asked} cannot be confirmed")]
    ExceedsHold {
        /// The hold.
        id: Id,
        /// What it is for.
        quantity: u64,
        /// What was asked.
        asked: u64,
    },
    /// More units returned than were sold and not returned yet.
    #[error(
        "EXCEEDS_HOLD hold '{id}' sold {sold} units that have not been returned, so {asked} cannot come back"
    )]
    ExceedsSold {
        /// The hold.
        id: Id,
        /// Units that could still come back.
        sold: u64,
        /// What was asked.
        asked: u64,
    },
    /// A deadline that is over before it starts.
    #[error(
        "ERR the deadline {deadline_ms} is already past, it is {now_ms} by this server's clock; use PX to count from now"
    )]
    DeadlinePast {
        /// What was asked, in Unix milliseconds.
        deadline_ms: u64,
        /// The server's time, in Unix milliseconds.
        now_ms: u64,
    },
    /// A deadline beyond the longest hold.
    #[error(
        "ERR the deadline is {ahead_ms} ms ahead, a hold may last {longest_ms} ms at most; extend it later with INV.EXTEND"
    )]
    DeadlineTooFar {
        /// How far ahead it is.
        ahead_ms: u64,
        /// The longest hold.
        longest_ms: u64,
    },
    /// A ledger at its last version, which only a made-up payload can have.
    #[error("ERR the seq of this stock is at its end, {max}, so it cannot be changed any more; DEL the key and INV.SET it anew", max = crate::MAX_SEQ)]
    SeqExhausted,
    /// A count that would be negative or beyond [`crate::MAX_UNITS`].
    #[error("ERR delta {delta} would take on_hand, which is {on_hand}, out of the range 0 to {max}", max = crate::MAX_UNITS)]
    CountRange {
        /// What was asked.
        delta: i64,
        /// What there is.
        on_hand: u64,
    },
}
