//! What the sandbox decides: payments by order id, without clock, network or randomness.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::behaviour::{Behaviour, Course, Flaw, Operation};
use super::cards;

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being worked on: the money may be taken yet.
    Pending,
    /// The money is set aside.
    Authorised,
    /// The money was taken.
    Captured,
    /// Refused; nothing was taken.
    Declined,
    /// What was set aside was let go; nothing was taken.
    Voided,
    /// The money was taken and given back.
    Refunded,
}

/// A request to pay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// What is paid for; also what makes a repeated request the same one.
    pub order_id: Uuid,
    /// In the currency's minor unit, such as pence.
    pub amount_minor: u64,
    /// Three letters of ISO 4217.
    pub currency: String,
    /// The number that decides how the sandbox behaves.
    pub card: String,
    /// Whether the money is taken at once, and not only set aside.
    #[serde(default = "yes")]
    pub capture: bool,
}

fn yes() -> bool {
    true
}

/// A payment as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// The provider's own id.
    pub payment_id: String,
    /// What is paid for.
    pub order_id: Uuid,
    /// How far it is.
    pub status: Status,
    /// In the currency's minor unit.
    pub amount_minor: u64,
    /// Three letters of ISO 4217.
    pub currency: String,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How often the money was taken.
    pub captures: u32,
    /// How often it was given back.
    pub refunds: u32,
}

/// What a call is to be answered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Reception {
    /// A payment that is new with this call.
    Created(Payment),
    /// The payment as it stands now.
    Standing(Payment),
    /// A new payment that is pending, and to be [settled](Ledger::settle).
    SettleAfter {
        /// After this time.
        delay: Duration,
        /// Whether the caller is kept waiting until then.
        waits: bool,
    },
    /// The payment is still being worked on, and the caller is kept waiting for it.
    InProgress,
    /// No payment of the order is known.
    Unknown,
    /// Nothing was paid, and every later payment of the order will be refused.
    Tombstone,
    /// Done, but the caller is not to learn it: the connection breaks.
    ReplyLost,
    /// An internal error of the provider; the call may have been done.
    Failed,
    /// The order has a payment with another amount or currency.
    Mismatch,
    /// It cannot be done, now or ever.
    Refused,
}

/// All payments, by order.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<Uuid, Entry>,
    /// Orders that were refunded before anything was paid.
    tombstones: BTreeSet<Uuid>,
    /// Calls that have failed once, as their card asks for.
    failed: BTreeSet<(Uuid, Operation)>,
    changed: Vec<(Payment, Behaviour)>,
}

#[derive(Debug)]
struct Entry {
    payment: Payment,
    behaviour: Behaviour,
    /// Whether the money is taken as soon as it is set aside.
    capture: bool,
}

impl Ledger {
    /// Takes a request to pay and records what follows from it.
    pub fn authorise(&mut self, request: &PaymentRequest) -> Reception {
        let behaviour = cards::behaviour(&request.card);
        if let Some(Entry { payment, .. }) = self.entries.get(&request.order_id) {
            let same = payment.amount_minor == request.amount_minor
                && payment.currency == request.currency;
            return match (same, payment.status, behaviour.course) {
                (false, ..) => Reception::Mismatch,
                (true, Status::Pending, Course::Slow(_)) => Reception::InProgress,
                _ => Reception::Standing(payment.clone()),
            };
        }
        let operation = Operation::Authorise;
        if self.fails_before(request.order_id, behaviour, operation) {
            return Reception::Failed;
        }
        let mut entry = Entry::new(request, behaviour);
        if self.tombstones.contains(&request.order_id) {
            entry.payment.decline("order_cancelled");
            return Reception::Created(entry.payment);
        }
        let created = match behaviour.course {
            Course::Slow(delay) | Course::Late(delay) | Course::LateDecline(delay) => {
                self.entries.insert(request.order_id, entry);
                let waits = matches!(behaviour.course, Course::Slow(_));
                return Reception::SettleAfter { delay, waits };
            }
            Course::Good | Course::Declined(_) => entry.settle(),
        };
        self.changed.push((created.clone(), behaviour));
        self.entries.insert(request.order_id, entry);
        flawed(Reception::Created(created), behaviour, operation)
    }

    /// Finishes what was pending.
    pub fn settle(&mut self, order_id: Uuid) {
        if let Some(entry) = self.entries.get_mut(&order_id)
            && entry.payment.status == Status::Pending
        {
            let settled = entry.settle();
            self.changed.push((settled, entry.behaviour));
        }
    }

    /// Takes the money that was set aside; repeated, the same answer.
    pub fn capture(&mut self, order_id: Uuid) -> Reception {
        self.change(order_id, Operation::Capture, |payment, behaviour| {
            match payment.status {
                Status::Authorised if behaviour.declined_at_capture => {
                    payment.decline("declined_at_capture");
                }
                Status::Authorised => payment.take(),
                _ => {}
            }
            true
        })
        .unwrap_or_else(|| self.missing(order_id))
    }

    /// Gives the money back, lets go what was set aside, and refuses every later payment of the
    /// order; repeated, the same answer.
    pub fn refund(&mut self, order_id: Uuid) -> Reception {
        self.change(order_id, Operation::Refund, |payment, behaviour| {
            match payment.status {
                Status::Captured if behaviour.refund_refused => return false,
                Status::Captured => {
                    payment.status = Status::Refunded;
                    payment.refunds += 1;
                }
                Status::Authorised => payment.status = Status::Voided,
                _ => {}
            }
            true
        })
        .unwrap_or_else(|| {
            self.tombstones.insert(order_id);
            Reception::Tombstone
        })
    }

    /// An order's payment as it stands.
    pub fn find(&self, order_id: Uuid) -> Reception {
        match self.entries.get(&order_id) {
            Some(entry) => Reception::Standing(entry.payment.clone()),
            None => self.missing(order_id),
        }
    }

    /// All payments, for audits.
    pub fn all(&self) -> impl Iterator<Item = &Payment> {
        self.entries.values().map(|entry| &entry.payment)
    }

    /// What has changed since this was asked last, with how it is to be told.
    pub fn take_changes(&mut self) -> Vec<(Payment, Behaviour)> {
        std::mem::take(&mut self.changed)
    }

    /// Lets `change` do its work on the order's payment, as well or badly as the card says. It
    /// gives false for what is refused for good.
    fn change(
        &mut self,
        order_id: Uuid,
        operation: Operation,
        change: impl FnOnce(&mut Payment, Behaviour) -> bool,
    ) -> Option<Reception> {
        let behaviour = self.entries.get(&order_id)?.behaviour;
        if self.fails_before(order_id, behaviour, operation) {
            return Some(Reception::Failed);
        }
        let entry = self.entries.get_mut(&order_id)?;
        let before = entry.payment.status;
        if !change(&mut entry.payment, behaviour) {
            return Some(Reception::Refused);
        }
        let payment = entry.payment.clone();
        if payment.status == before {
            return Some(Reception::Standing(payment));
        }
        self.changed.push((payment.clone(), behaviour));
        Some(flawed(Reception::Standing(payment), behaviour, operation))
    }

    fn fails_before(&mut self, order: Uuid, behaviour: Behaviour, operation: Operation) -> bool {
        match behaviour.flaw {
            Some((flawed, Flaw::Fails)) => flawed == operation,
            Some((flawed, Flaw::FailsFirst)) if flawed == operation => {
                self.failed.insert((order, operation))
            }
            _ => false,
        }
    }

    fn missing(&self, order_id: Uuid) -> Reception {
        if self.tombstones.contains(&order_id) {
            Reception::Tombstone
        } else {
            Reception::Unknown
        }
    }
}

/// What the caller gets of an operation that was done just now.
fn flawed(sound: Reception, behaviour: Behaviour, operation: Operation) -> Reception {
    match behaviour.flaw {
        Some((flawed, Flaw::LosesReply)) if flawed == operation => Reception::ReplyLost,
        Some((flawed, Flaw::FailsAfter)) if flawed == operation => Reception::Failed,
        _ => sound,
    }
}

impl Entry {
    fn new(request: &PaymentRequest, behaviour: Behaviour) -> Entry {
        let payment = Payment {
            payment_id: format!("pay_{}", request.order_id.simple()),
            order_id: request.order_id,
            status: Status::Pending,
            amount_minor: request.amount_minor,
            currency: request.currency.clone(),
            reason: None,
            captures: 0,
            refunds: 0,
        };
        Entry {
            payment,
            behaviour,
            capture: request.capture,
        }
    }

    fn settle(&mut self) -> Payment {
        match self.behaviour.course {
            Course::Declined(reason) => self.payment.decline(reason),
            Course::LateDecline(_) => self.payment.decline("declined_late"),
            Course::Good | Course::Slow(_) if !self.capture => {
                self.payment.status = Status::Authorised;
            }
            // A payment that takes so long, such as a transfer, cannot be set aside first.
            Course::Good | Course::Slow(_) | Course::Late(_) => self.payment.take(),
        }
        self.payment.clone()
    }
}

impl Payment {
    fn take(&mut self) {
        self.status = Status::Captured;
        self.captures += 1;
    }

    fn decline(&mut self, reason: &'static str) {
        self.status = Status::Declined;
        self.reason = Some(reason);
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
