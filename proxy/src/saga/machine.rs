//! The saga as a pure machine: a state and what just happened in, the next state and what to do
//! out. It knows no clock, no server and no order, only how far the order is.

use crate::orders::Reason;

/// How far an order is. Each state waits for the result of the one effect that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Units are being held in Redis.
    Reserving,
    /// The units of a checkout hold, which are held already, are being asked for.
    Claiming,
    /// The order is being written to MySQL as PENDING.
    Recording,
    /// The holds' deadlines are being stopped.
    Preparing,
    /// The provider is being asked for the money.
    Paying {
        /// The how-manieth time, from 1.
        attempt: u8,
    },
    /// The provider's answer was lost; it is being asked what happened.
    Asking {
        /// How often the payment has been tried; 0 after recovery, which has no card to pay with.
        attempt: u8,
        /// The how-manieth question, from 1.
        question: u8,
    },
    /// The order is being confirmed in MySQL: the commit point.
    Committing {
        /// The how-manieth time, from 1.
        attempt: u8,
    },
    /// The sale is being told to Redis.
    Confirming,
    /// Money that bought nothing is being given back.
    Refunding(Reason),
    /// The order is being cancelled in MySQL.
    Aborting(Reason),
    /// The held units are being given back.
    Releasing(Reason),
    /// It is being written down that Redis knows the end.
    Settling,
    /// Nothing is left to do.
    Finished,
    /// Nothing can be done now; recovery goes on when the lease has run out.
    Left,
}

/// What the runner is to do. Each may be done twice without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// `INV.MRESERVE`.
    Reserve,
    /// Insert the order and its first events.
    Record,
    /// `INV.PREPARE … LATE` on every line.
    Prepare,
    /// Take the money, idempotent by order id.
    Pay,
    /// Ask what became of the payment; the later the question, the longer the wait before it.
    Ask {
        /// The how-manieth question, from 1.
        question: u8,
    },
    /// Insert COMMITTED, confirm the order, deduct the stock, write the events.
    Commit,
    /// `INV.CONFIRM … LATE` on every line.
    Confirm,
    /// Give the money back, idempotent by order id.
    Refund,
    /// Insert ABORTED, cancel the order, write the events.
    Abort(Reason),
    /// `INV.RELEASE` on every line.
    Release,
    /// Write down that Redis has acknowledged the end of the holds.
    Settle,
    /// Tell whoever asked for the order, if they still listen.
    Answer(Answer),
}

/// What whoever asked for the order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The order is CONFIRMED in MySQL.
    Confirmed,
    /// Nothing was bought and no money is kept.
    Refused(Reason),
    /// Not known yet: the order is PENDING and will be finished without them.
    Pending,
}

/// What an effect led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The effect was done.
    Done,
    /// Reserve or Prepare: not enough units.
    Short,
    /// Record: the Idempotency-Key exists.
    KeyTaken,
    /// Record: the order exists, and another saga runs it. Reserve: it is sold already.
    OrderExists,
    /// Pay or Ask: the money is ours.
    Captured,
    /// Pay or Ask: the provider said no.
    Declined,
    /// Pay or Ask: the money was ours and was given back.
    Refunded,
    /// Ask: the provider is still at it.
    StillPending,
    /// Ask: the provider never heard of it.
    NeverPaid,
    /// Commit: the stock guard refused.
    StockRefused,
    /// Commit: somebody aborted first. Abort: somebody committed first.
    LostRace,
    /// The server did not answer, or not clearly: it may or may not have been done.
    Unclear,
}

/// The next state and what to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the saga is now.
    pub state: State,
    /// What to do; the last one's result is the next input.
    pub effects: Vec<Effect>,
}

/// A payment is tried this often before the order is given up.
const PAYMENT_ATTEMPTS: u8 = 3;
/// A lost payment answer is asked after this often before the saga is left to recovery.
const QUESTIONS: u8 = 4;
/// An unclear commit is repeated this often before the saga is left to recovery.
const COMMIT_ATTEMPTS: u8 = 3;

/// How a new order begins.
pub fn begin() -> Step {
    to(State::Reserving, Effect::Reserve)
}

/// How an order of units begins that were held at checkout.
pub fn begin_with_hold() -> Step {
    to(State::Claiming, Effect::Reserve)
}

/// How recovery takes up an order. One that is not `committed` may have been paid for, so the
/// provider is asked before anything is undone.
pub fn resume(committed: bool) -> Step {
    if committed {
        to(State::Confirming, Effect::Confirm)
    } else {
        ask(0, 1)
    }
}

/// The next step. An input that cannot follow from the state's effect leaves the saga to
/// recovery, which looks again at what is true.
pub fn next(state: State, input: Input) -> Step {
    use Input as I;
    match (state, input) {
        (State::Reserving | State::Claiming, I::Done) => to(State::Recording, Effect::Record),
        (State::Reserving | State::Claiming, I::Short) => {
            answered(State::Finished, Answer::Refused(Reason::OutOfStock))
        }
        (State::Reserving | State::Claiming, I::OrderExists) => {
            answered(State::Finished, Answer::Refused(Reason::KeyTaken))
        }
        // The hold was there before: another confirmation may be at it, and it has its deadline.
        (State::Claiming, I::Unclear) => {
            answered(State::Finished, Answer::Refused(Reason::Unavailable))
        }
        // The reservation may have been made; released ids refuse it even if it arrives later.
        (State::Reserving, I::Unclear) => release(Reason::Unavailable),

        (State::Recording, I::Done) => to(State::Preparing, Effect::Prepare),
        (State::Recording, I::KeyTaken) => release(Reason::KeyTaken),
        // The holds are the other saga's, not ours to release.
        (State::Recording, I::OrderExists) => {
            answered(State::Finished, Answer::Refused(Reason::KeyTaken))
        }
        // The row may exist; aborting works either way.
        (State::Recording, I::Unclear) => abort(Reason::Unavailable),

        (State::Preparing, I::Done) => pay(1),
        (State::Preparing, I::Short) => abort(Reason::SoldOut),
        (State::Preparing, I::Unclear) => abort(Reason::Unavailable),

        (State::Paying { .. } | State::Asking { .. }, I::Captured) => commit(1),
        (State::Paying { .. } | State::Asking { .. }, I::Declined) => {
            abort(Reason::PaymentDeclined)
        }
        // A runner that died after its refund left this order.
        (State::Paying { .. } | State::Asking { .. }, I::Refunded) => abort(Reason::Abandoned),
        (State::Paying { attempt }, I::Unclear) => ask(attempt, 1),
        // Recovery has no card: an unpaid order is called off.
        (State::Asking { attempt: 0, .. }, I::NeverPaid) => abort(Reason::Abandoned),
        (State::Asking { attempt, .. }, I::NeverPaid) if attempt < PAYMENT_ATTEMPTS => {
            pay(attempt + 1)
        }
        (State::Asking { .. }, I::NeverPaid) => abort(Reason::PaymentFailed),
        (State::Asking { attempt, question }, I::StillPending | I::Unclear)
            if attempt > 0 && question < QUESTIONS =>
        {
            ask(attempt, question + 1)
        }
        (State::Asking { .. }, I::StillPending | I::Unclear) => leave(),

        (State::Committing { .. }, I::Done) => to(State::Confirming, Effect::Confirm),
        (State::Committing { .. }, I::StockRefused) => refund(Reason::StockRefused),
        (State::Committing { .. }, I::LostRace) => refund(Reason::Abandoned),
        (State::Committing { attempt }, I::Unclear) if attempt < COMMIT_ATTEMPTS => {
            commit(attempt + 1)
        }
        (State::Committing { .. }, I::Unclear) => leave(),

        // The order stands whatever Redis says: an unclear confirm is recovery's to repeat.
        (State::Confirming, I::Done) => settle(Answer::Confirmed),
        (State::Confirming, I::Unclear) => answered(State::Left, Answer::Confirmed),

        (State::Refunding(reason), I::Done) => abort(reason),
        (State::Refunding(_), I::Unclear) => leave(),

        (State::Aborting(reason), I::Done) => release(reason),
        // Somebody committed: the sale stands after all.
        (State::Aborting(_), I::LostRace) => to(State::Confirming, Effect::Confirm),
        (State::Aborting(reason), I::Unclear) => answered(State::Left, Answer::Refused(reason)),

        // Without an order row there is nothing to settle.
        (State::Releasing(reason @ Reason::KeyTaken), I::Done | I::Unclear) => {
            answered(State::Finished, Answer::Refused(reason))
        }
        (State::Releasing(reason), I::Done) => settle(Answer::Refused(reason)),
        // Holds that are not prepared run out; prepared ones are recovery's to release.
        (State::Releasing(reason), I::Unclear) => answered(State::Left, Answer::Refused(reason)),

        (State::Settling, _) => Step {
            state: State::Finished,
            effects: Vec::new(),
        },
        _ => leave(),
    }
}

fn to(state: State, effect: Effect) -> Step {
    Step {
        state,
        effects: vec![effect],
    }
}

fn pay(attempt: u8) -> Step {
    to(State::Paying { attempt }, Effect::Pay)
}

fn ask(attempt: u8, question: u8) -> Step {
    to(
        State::Asking { attempt, question },
        Effect::Ask { question },
    )
}

fn commit(attempt: u8) -> Step {
    to(State::Committing { attempt }, Effect::Commit)
}

fn refund(reason: Reason) -> Step {
    to(State::Refunding(reason), Effect::Refund)
}

fn abort(reason: Reason) -> Step {
    to(State::Aborting(reason), Effect::Abort(reason))
}

fn release(reason: Reason) -> Step {
    to(State::Releasing(reason), Effect::Release)
}

/// The answer goes out before the bookkeeping, so that nobody waits for it.
fn settle(answer: Answer) -> Step {
    Step {
        state: State::Settling,
        effects: vec![Effect::Answer(answer), Effect::Settle],
    }
}

fn answered(state: State, answer: Answer) -> Step {
    to(state, Effect::Answer(answer))
}

fn leave() -> Step {
    answered(State::Left, Answer::Pending)
}

impl State {
    /// True when the saga needs no further input from this runner.
    pub fn is_at_rest(self) -> bool {
        matches!(self, State::Finished | State::Left)
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
