//! Guards taken away, one at a time, to see that it is noticed. They are switches of the models
//! and of what stands around the machine; the product has none.

use crate::machine::{self, Effect, Input, State, Step};

/// One guard that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Control {
    /// Stock is deducted without looking whether there is any.
    NoStockGuard,
    /// `hold_outcomes` has no primary key: an order can be decided twice.
    NoOutcomeKey,
    /// Redis is told of the sale before MySQL.
    ConfirmBeforeCommit,
    /// Units are given back before the order is called off.
    ReleaseBeforeAbort,
    /// Orders that are undone keep the money.
    RefundForgotten,
    /// An order is settled whatever became of it meanwhile.
    SettleUnconditional,
    /// Holds run against their deadline while the buyer pays.
    PrepareSkipped,
    /// The events of a sale are written after its transaction.
    EventOutsideTransaction,
    /// A sale whose hold a failover lost is not taken again.
    ConfirmWithoutLate,
    /// A refund of a payment that the provider does not know yet is forgotten.
    NoTombstone,
    /// The provider takes money again when it is asked again.
    NoPaymentIdempotency,
    /// The reconciler judges and corrects without asking whether Redis has changed meanwhile.
    CorrectWithoutSeq,
    /// The units of a cancelled sale come back under a new id each time.
    ReturnWithoutId,
    /// What is bought stays in the cart.
    CartForgotten,
    /// What is bought is taken out of the cart as often as it is asked for.
    NoCartMark,
    /// Where a line is refused of what was held at checkout, the others are given back.
    GiveBackClaimed,
}

impl Control {
    /// As the command line has it.
    pub fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What the machine says, or what it would say without the guard.
pub fn next(control: Option<Control>, state: State, input: Input) -> Step {
    let step = machine::next(state, input);
    match control {
        Some(Control::ConfirmBeforeCommit) => confirm_before_commit(step),
        Some(Control::ReleaseBeforeAbort) => release_before_abort(step),
        Some(Control::RefundForgotten) => refund_forgotten(step),
        Some(Control::PrepareSkipped) if matches!(step.state, State::Preparing(_)) => {
            machine::next(step.state, Input::Done)
        }
        Some(Control::CartForgotten) if step.state == State::EmptyingCart => {
            machine::next(step.state, Input::Done)
        }
        _ => step,
    }
}

fn confirm_before_commit(mut step: Step) -> Step {
    if matches!(step.state, State::Committing { attempt: 1 }) {
        step.effects.insert(0, Effect::Confirm);
    }
    step
}

fn release_before_abort(mut step: Step) -> Step {
    if matches!(step.state, State::Aborting(..)) {
        step.effects.insert(0, Effect::Release);
    }
    step
}

fn refund_forgotten(mut step: Step) -> Step {
    if let State::Refunding(end) = step.state {
        step.effects.retain(|effect| *effect != Effect::Refund);
        step.effects.push(Effect::Settle(end));
        step.state = State::Settling;
    }
    step
}
