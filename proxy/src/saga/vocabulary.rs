//! The words of the saga: how far an order is, what is to be done, and what came of it.

use crate::orders::{End, Reason};

/// How far an order is. Each state waits for the result of the one effect that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Units are being held in Redis.
    Reserving,
    /// The units of a checkout hold, which are held already, are being asked for.
    Claiming,
    /// The order is being written to MySQL as PENDING.
    Recording(Origin),
    /// The holds' deadlines are being stopped.
    Preparing(Origin),
    /// Whether the stock suffices, of which nothing is held, is being asked.
    CheckingStock,
    /// The provider is being asked to set the money aside.
    Authorising {
        /// The how-manieth call for the money, from 1.
        attempt: u8,
    },
    /// The money that is set aside is being taken.
    Capturing {
        /// The how-manieth call for the money, from 1.
        attempt: u8,
    },
    /// The provider's answer was lost; it is being asked what happened.
    Asking {
        /// How often the money has been called for; 0 after recovery, which has no card to pay with.
        attempt: u8,
        /// The how-manieth question, from 1.
        question: u8,
    },
    /// The provider is being asked once more about a payment that has taken too long.
    Overdue,
    /// The order is being confirmed in MySQL: the commit point.
    Committing {
        /// The how-manieth time, from 1.
        attempt: u8,
    },
    /// The sale is being told to Redis.
    Confirming(Sale),
    /// What was bought is being taken out of the cart that it came from.
    EmptyingCart,
    /// The order is being called off in MySQL, for ever.
    Aborting(Reason, Money),
    /// The held units are being given back.
    Releasing(Reason, Money),
    /// Units without an order are being given back.
    LettingGo(Reason),
    /// A sold order is being cancelled and its units restocked in MySQL.
    Cancelling(Reason),
    /// The units of a cancelled sale are being given back in Redis.
    Returning,
    /// Money that bought nothing is being given back.
    Refunding(End),
    /// It is being written down that the money is back.
    RecordingRefund(End),
    /// It is being written down that a person is needed.
    Parking,
    /// It is being written down that nothing is left to do.
    Settling,
    /// Nothing is left to do.
    Finished,
    /// Nothing can be done now; recovery goes on when the lease has run out.
    Left,
}

/// Where the units of an order come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Held by this saga.
    Own,
    /// Held at checkout.
    Hold,
    /// Held at checkout, and past the deadline: they must be taken again.
    LapsedHold,
    /// Not held, because Redis is away: MySQL alone decides.
    Unheld,
}

/// Whether the provider may have money of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Money {
    /// It was never asked for any, or it has refused for good.
    Untouched,
    /// It may have some, or get some yet.
    Possible,
}

/// What is being told to Redis of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sale {
    /// That it stands.
    Stands,
    /// That it was made, before it is told that it was cancelled.
    Cancelled,
}

/// What the tables say of an order that was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    /// Nothing is decided.
    Undecided {
        /// It is older than a payment may take.
        overdue: bool,
    },
    /// It is sold.
    Committed,
    /// It was called off.
    Aborted,
    /// It was cancelled after it had been sold.
    Cancelled,
}

/// What the runner is to do. Each may be done twice without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// `INV.MRESERVE`.
    Reserve,
    /// Insert the order and its first events.
    Record,
    /// `INV.PREPARE … LATE` on every line.
    Prepare,
    /// Ask MySQL whether its stock suffices for the order and for those before it.
    CheckStock,
    /// Have the money set aside, idempotent by order id.
    Authorise,
    /// Take the money that was set aside, idempotent by order id.
    Capture,
    /// Ask what became of the payment; the later the question, the longer the wait before it.
    Ask {
        /// The how-manieth question, from 1.
        question: u8,
    },
    /// Insert COMMITTED, confirm the order, deduct the stock, write the events.
    Commit,
    /// `INV.CONFIRM … LATE` on every line.
    Confirm,
    /// Take what was bought out of the buyer's cart, if the order was made of it; once for an order.
    EmptyCart,
    /// Insert ABORTED, cancel the order, write the events.
    Abort(Reason),
    /// `INV.RELEASE` on every line.
    Release,
    /// Cancel a sold order, put its units back and write the events.
    Cancel(Reason),
    /// `INV.RETURN` on every line.
    Return,
    /// Give back whatever was taken and have later payments of the order refused, idempotent by
    /// order id.
    Refund,
    /// Write down that the money is back, with its event.
    RecordRefund,
    /// Write down that a person is needed.
    Park,
    /// Write down that nothing is left to do, if this is still how the order ended.
    Settle(End),
    /// Tell whoever asked, if they still listen.
    Answer(Answer),
}

/// What whoever asked is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The order is CONFIRMED in MySQL.
    Confirmed,
    /// Nothing was bought, or no longer is, and no money is kept.
    Refused(Reason),
    /// A sold order that can no longer be cancelled.
    TooLate,
    /// Not known yet: the order will be finished without them.
    Pending,
}

/// What an effect led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The effect was done. Refund: nothing was taken, and nothing will be.
    Done,
    /// Reserve, Prepare or CheckStock: not enough units.
    Short,
    /// Reserve: the checkout hold's deadline has passed.
    Lapsed,
    /// Record: too many orders wait to be written; this one was not.
    Shed,
    /// Record: the buyer may not have so much; nothing was written.
    NotAllowed,
    /// Record: the Idempotency-Key exists.
    KeyTaken,
    /// Record: the order exists, and another saga runs it. Reserve: it is sold already.
    OrderExists,
    /// Authorise or Ask: the money is set aside.
    Authorised,
    /// Authorise, Capture or Ask: the money is ours.
    Captured,
    /// Authorise, Capture or Ask: the provider said no, for good.
    Declined,
    /// Authorise, Capture, Ask or Refund: the money was ours, or set aside, and was given back.
    Refunded,
    /// Authorise, Capture, Ask or Refund: the provider is still at it.
    StillPending,
    /// Ask: the provider never heard of it.
    NeverPaid,
    /// Authorise: there is no card, as after recovery.
    NoCard,
    /// Authorise: it was not asked for, since the provider is known to be away. Refund: it will
    /// never be done.
    Refused,
    /// Commit: the stock guard refused.
    StockRefused,
    /// Commit: somebody aborted first. Abort: somebody committed first.
    LostRace,
    /// Cancel: the order is none that can be cancelled, or no longer.
    TooLate,
    /// The server did not answer, or not clearly: it may or may not have been done.
    Unclear,
}

impl Effect {
    /// What the world can answer to this effect.
    pub fn inputs(self) -> &'static [Input] {
        use Input as I;
        match self {
            Effect::Reserve => &[I::Done, I::Short, I::Lapsed, I::OrderExists, I::Unclear],
            Effect::Record => &[
                I::Done,
                I::Shed,
                I::NotAllowed,
                I::KeyTaken,
                I::OrderExists,
                I::Unclear,
            ],
            Effect::Prepare | Effect::CheckStock => &[I::Done, I::Short, I::Unclear],
            Effect::Authorise => &[
                I::Authorised,
                I::Captured,
                I::Declined,
                I::Refunded,
                I::StillPending,
                I::NoCard,
                I::Refused,
                I::Unclear,
            ],
            Effect::Capture => &[
                I::Captured,
                I::Declined,
                I::Refunded,
                I::StillPending,
                I::Refused,
                I::Unclear,
            ],
            Effect::Ask { .. } => &[
                I::Authorised,
                I::Captured,
                I::Declined,
                I::Refunded,
                I::StillPending,
                I::NeverPaid,
                I::Unclear,
            ],
            Effect::Commit => &[I::Done, I::StockRefused, I::LostRace, I::Unclear],
            Effect::Abort(_) => &[I::Done, I::LostRace, I::Unclear],
            Effect::Cancel(_) => &[I::Done, I::TooLate, I::Unclear],
            Effect::Refund => &[
                I::Done,
                I::Refunded,
                I::StillPending,
                I::Refused,
                I::Unclear,
            ],
            Effect::Confirm
            | Effect::EmptyCart
            | Effect::Release
            | Effect::Return
            | Effect::RecordRefund
            | Effect::Park
            | Effect::Settle(_) => &[I::Done, I::Unclear],
            Effect::Answer(_) => &[],
        }
    }
}

impl State {
    /// True when the saga needs no further input from this runner.
    pub fn is_at_rest(self) -> bool {
        matches!(self, State::Finished | State::Left)
    }
}
