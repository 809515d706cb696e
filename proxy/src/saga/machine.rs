//! The saga as a pure machine: a state and what just happened in, the next state and what to do
//! out. It knows no clock, no server and no order, only how far the order is.

pub use super::vocabulary::{Answer, Effect, Found, Input, Money, Origin, Sale, State};
pub use crate::orders::{End, Reason};

/// The next state and what to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the saga is now.
    pub state: State,
    /// What to do; the last one's result is the next input.
    pub effects: Vec<Effect>,
}

/// The money is called for this often before the order is given up.
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

/// How an order begins that is taken while Redis is away. Nothing is held for it, so that its sale may
/// be refused at the commit; Redis is told of it like of a sale whose hold it has lost.
pub fn begin_without_redis() -> Step {
    record(Origin::Unheld)
}

/// How a cancellation begins, for one of the reasons that are some. Whatever the order's own saga is doing, the first to
/// decide wins.
pub fn begin_cancel(reason: Reason) -> Step {
    abort(reason, Money::Possible)
}

/// How recovery takes up an order. One that is not decided may have been paid for, so the
/// provider is asked before anything is undone.
pub fn resume(found: Found) -> Step {
    match found {
        Found::Undecided { overdue: false } => ask(0, 1),
        Found::Undecided { overdue: true } => to(State::Overdue, Effect::Ask { question: 1 }),
        Found::Committed => to(State::Confirming(Sale::Stands), Effect::Confirm),
        // Called off by a confirmation or a reconciler that came before the row was written, it is
        // PENDING still: repeating the abort gives it its end, and otherwise changes nothing.
        Found::Aborted => abort(Reason::Abandoned, Money::Possible),
        Found::Cancelled => to(State::Confirming(Sale::Cancelled), Effect::Confirm),
    }
}

/// The next step. An input that cannot follow from the state's effect leaves the saga to
/// recovery, which looks again at what is true.
pub fn next(state: State, input: Input) -> Step {
    match state {
        State::Reserving | State::Claiming => after_reserve(state, input),
        State::Recording(origin) => after_record(origin, input),
        State::Preparing(origin) => after_prepare(origin, input),
        State::CheckingStock => after_prepare(Origin::Own, input),
        State::Authorising { .. } | State::Capturing { .. } => after_payment(state, input),
        State::Asking { attempt, question } => after_question(attempt, question, input),
        State::Overdue => after_last_question(input),
        State::Committing { attempt } => after_commit(attempt, input),
        State::Confirming(sale) => after_confirm(sale, input),
        State::EmptyingCart => after_emptying(input),
        State::Aborting(reason, money) => after_abort(reason, money, input),
        State::Releasing(reason, money) => after_release(reason, money, input),
        State::LettingGo(reason) => answered(State::Finished, Answer::Refused(reason)),
        State::Cancelling(reason) => after_cancel(reason, input),
        State::Returning if input == Input::Done => refund(End::Returned),
        State::Refunding(end) => after_refund(end, input),
        State::RecordingRefund(end) if input == Input::Done => settle(end),
        State::Parking if input == Input::Done => rest(State::Finished),
        State::Settling => rest(State::Finished),
        // Whoever asked has been answered before these.
        State::Returning
        | State::RecordingRefund(_)
        | State::Parking
        | State::Finished
        | State::Left => rest(State::Left),
    }
}

fn after_reserve(state: State, input: Input) -> Step {
    match (state, input) {
        (State::Reserving, Input::Done) => record(Origin::Own),
        (_, Input::Done) => record(Origin::Hold),
        (State::Claiming, Input::Lapsed) => record(Origin::LapsedHold),
        (_, Input::Short) => refused(Reason::OutOfStock),
        (_, Input::OrderExists) => refused(Reason::KeyTaken),
        // The hold was there before: another confirmation may be at it, and it has its deadline.
        (State::Claiming, Input::Unclear) => refused(Reason::Unavailable),
        // The reservation may have been made; released ids refuse it even if it arrives later.
        (State::Reserving, Input::Unclear) => let_go(Reason::Unavailable),
        _ => leave(),
    }
}

fn after_record(origin: Origin, input: Input) -> Step {
    match input {
        Input::Done if origin == Origin::Unheld => to(State::CheckingStock, Effect::CheckStock),
        Input::Done => to(State::Preparing(origin), Effect::Prepare),
        Input::KeyTaken if origin == Origin::Own => let_go(Reason::KeyTaken),
        Input::Shed if origin == Origin::Own => let_go(Reason::Overloaded),
        Input::NotAllowed if origin == Origin::Own => let_go(Reason::BuyerLimit),
        // What was held at checkout stays held until its deadline; otherwise nothing is.
        Input::KeyTaken => refused(Reason::KeyTaken),
        Input::Shed => refused(Reason::Overloaded),
        Input::NotAllowed => refused(Reason::BuyerLimit),
        // The holds are the other saga's, not ours to release.
        Input::OrderExists => refused(Reason::KeyTaken),
        // The row may exist; aborting works either way. Nobody but this saga could pay for it.
        Input::Unclear if matches!(origin, Origin::Own | Origin::Unheld) => {
            abort(Reason::Unavailable, Money::Untouched)
        }
        // Another confirmation of the hold may have recorded it, and be paid.
        Input::Unclear => abort(Reason::Unavailable, Money::Possible),
        _ => leave(),
    }
}

fn after_prepare(origin: Origin, input: Input) -> Step {
    match input {
        Input::Done => authorise(1),
        Input::Short if origin == Origin::Own => abort(Reason::SoldOut, Money::Untouched),
        // Past its deadline, or given back in this very moment.
        Input::Short => abort(Reason::HoldExpired, Money::Untouched),
        Input::Unclear => abort(Reason::Unavailable, Money::Untouched),
        _ => leave(),
    }
}

fn after_payment(state: State, input: Input) -> Step {
    match (state, input) {
        (State::Authorising { attempt }, Input::Authorised) => capture(attempt),
        (_, Input::Captured) => commit(1),
        (State::Authorising { attempt: 1 }, Input::Declined) => {
            abort(Reason::PaymentDeclined, Money::Untouched)
        }
        // What an earlier attempt had set aside is to be let go.
        (_, Input::Declined) => abort(Reason::PaymentDeclined, Money::Possible),
        // Somebody has undone the payment and is about to undo the order.
        (_, Input::Refunded) => abort(Reason::Abandoned, Money::Possible),
        (_, Input::NoCard) => abort(Reason::Abandoned, Money::Possible),
        (State::Authorising { attempt: 1 }, Input::Refused) => {
            abort(Reason::PaymentFailed, Money::Untouched)
        }
        (_, Input::Refused) => abort(Reason::PaymentFailed, Money::Possible),
        (
            State::Authorising { attempt } | State::Capturing { attempt },
            Input::StillPending | Input::Unclear,
        ) => ask(attempt, 1),
        _ => leave(),
    }
}

fn after_question(attempt: u8, question: u8, input: Input) -> Step {
    match input {
        Input::Captured => commit(1),
        Input::Authorised if attempt < PAYMENT_ATTEMPTS => capture(attempt + 1),
        // Taking it has failed too often for now.
        Input::Authorised => leave(),
        Input::Declined => abort(Reason::PaymentDeclined, Money::Possible),
        // A runner that died after its refund left this order.
        Input::Refunded => abort(Reason::Abandoned, Money::Possible),
        // Recovery has no card: an unpaid order is called off.
        Input::NeverPaid if attempt == 0 => abort(Reason::Abandoned, Money::Possible),
        Input::NeverPaid if attempt < PAYMENT_ATTEMPTS => authorise(attempt + 1),
        Input::NeverPaid => abort(Reason::PaymentFailed, Money::Possible),
        Input::StillPending | Input::Unclear if attempt > 0 && question < QUESTIONS => {
            ask(attempt, question + 1)
        }
        _ => leave(),
    }
}

fn after_last_question(input: Input) -> Step {
    match input {
        Input::Captured => commit(1),
        Input::Declined => abort(Reason::PaymentDeclined, Money::Possible),
        // Whatever it is at, the units have waited long enough; the refund ends the payment.
        _ => abort(Reason::PaymentTimeout, Money::Possible),
    }
}

fn after_commit(attempt: u8, input: Input) -> Step {
    match input {
        Input::Done => to(State::Confirming(Sale::Stands), Effect::Confirm),
        Input::StockRefused => abort(Reason::StockRefused, Money::Possible),
        // Repeating the abort changes nothing, and finds out whether it was one.
        Input::LostRace => abort(Reason::Abandoned, Money::Possible),
        Input::Unclear if attempt < COMMIT_ATTEMPTS => commit(attempt + 1),
        _ => leave(),
    }
}

fn after_confirm(sale: Sale, input: Input) -> Step {
    match (sale, input) {
        (Sale::Stands, Input::Done) => to(State::EmptyingCart, Effect::EmptyCart),
        // The order stands whatever Redis says: an unclear confirm is recovery's to repeat.
        (Sale::Stands, _) => answered(State::Left, Answer::Confirmed),
        (Sale::Cancelled, Input::Done) => to(State::Returning, Effect::Return),
        (Sale::Cancelled, _) => rest(State::Left),
    }
}

/// Whoever asked is told afterwards, so that a buyer who is told finds the cart empty.
fn after_emptying(input: Input) -> Step {
    match input {
        Input::Done => saying(
            Answer::Confirmed,
            State::Settling,
            Effect::Settle(End::Sold),
        ),
        _ => answered(State::Left, Answer::Confirmed),
    }
}

fn after_abort(reason: Reason, money: Money, input: Input) -> Step {
    match input {
        Input::Done => release(reason, money),
        // It is sold: that is what a cancellation then undoes, and nothing else does.
        Input::LostRace if reason.is_cancellation() => {
            to(State::Cancelling(reason), Effect::Cancel(reason))
        }
        Input::LostRace => to(State::Confirming(Sale::Stands), Effect::Confirm),
        // Without money it cannot be sold any more, whoever aborts it in the end.
        Input::Unclear if money == Money::Untouched => {
            answered(State::Left, Answer::Refused(reason))
        }
        _ => leave(),
    }
}

/// The units go back before the money does, so that a provider that is away strands no stock.
fn after_release(reason: Reason, money: Money, input: Input) -> Step {
    let told = Answer::Refused(reason);
    match (input, money) {
        (Input::Done, Money::Possible) => {
            saying(told, State::Refunding(End::Undone), Effect::Refund)
        }
        (Input::Done, Money::Untouched) => {
            saying(told, State::Settling, Effect::Settle(End::Undone))
        }
        // Holds that are not prepared run out; prepared ones are recovery's to release.
        _ => answered(State::Left, told),
    }
}

fn after_cancel(reason: Reason, input: Input) -> Step {
    match input {
        Input::Done => saying(
            Answer::Refused(reason),
            State::Confirming(Sale::Cancelled),
            Effect::Confirm,
        ),
        Input::TooLate => answered(State::Finished, Answer::TooLate),
        _ => leave(),
    }
}

fn after_refund(end: End, input: Input) -> Step {
    match input {
        Input::Refunded => to(State::RecordingRefund(end), Effect::RecordRefund),
        Input::Done => settle(end),
        Input::Refused => to(State::Parking, Effect::Park),
        _ => rest(State::Left),
    }
}

fn to(state: State, effect: Effect) -> Step {
    Step {
        state,
        effects: vec![effect],
    }
}

/// The answer goes out before the work that nobody need wait for.
fn saying(answer: Answer, state: State, effect: Effect) -> Step {
    Step {
        state,
        effects: vec![Effect::Answer(answer), effect],
    }
}

fn rest(state: State) -> Step {
    Step {
        state,
        effects: Vec::new(),
    }
}

fn answered(state: State, answer: Answer) -> Step {
    to(state, Effect::Answer(answer))
}

fn refused(reason: Reason) -> Step {
    answered(State::Finished, Answer::Refused(reason))
}

fn leave() -> Step {
    answered(State::Left, Answer::Pending)
}

fn record(origin: Origin) -> Step {
    to(State::Recording(origin), Effect::Record)
}

fn authorise(attempt: u8) -> Step {
    to(State::Authorising { attempt }, Effect::Authorise)
}

fn capture(attempt: u8) -> Step {
    to(State::Capturing { attempt }, Effect::Capture)
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

fn abort(reason: Reason, money: Money) -> Step {
    to(State::Aborting(reason, money), Effect::Abort(reason))
}

fn release(reason: Reason, money: Money) -> Step {
    to(State::Releasing(reason, money), Effect::Release)
}

fn let_go(reason: Reason) -> Step {
    to(State::LettingGo(reason), Effect::Release)
}

fn refund(end: End) -> Step {
    to(State::Refunding(end), Effect::Refund)
}

fn settle(end: End) -> Step {
    to(State::Settling, Effect::Settle(end))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
