//! What the sandbox decides: payments by order id, without clock, network or randomness.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being worked on: the money will be taken.
    Pending,
    /// The money was taken.
    Captured,
    /// Refused; nothing was taken.
    Declined,
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
}

/// What is to be done about a request to pay.
#[derive(Debug, PartialEq, Eq)]
pub enum Reception {
    /// A new payment, settled at once.
    Settled(Payment),
    /// A payment that was settled before: the answer is as it stands now.
    Repeated(Payment),
    /// A new payment that is to be [settled](Ledger::settle) after this time.
    SettleAfter(Duration),
    /// A repeated request whose first is still being worked on: wait for it.
    InProgress,
    /// Taken, but the caller is not to learn it: the connection breaks.
    TakenButReplyLost,
    /// An internal error of the provider; nothing was taken.
    Failed,
    /// The order has a payment with another amount or currency.
    Mismatch,
}

/// Why there is nothing to refund.
#[derive(Debug, PartialEq, Eq)]
pub enum NoRefund {
    /// No payment of that order is known.
    Unknown,
    /// The order's payment took nothing, or not yet.
    NothingCaptured,
}

/// All payments, by order.
#[derive(Debug, Default)]
pub struct Ledger {
    payments: BTreeMap<Uuid, Payment>,
    /// Failed attempts of orders that have no payment yet.
    failures: BTreeMap<Uuid, u32>,
}

impl Ledger {
    /// Takes a request to pay and records what follows from it.
    pub fn receive(&mut self, request: &PaymentRequest) -> Reception {
        if let Some(payment) = self.payments.get(&request.order_id) {
            let same = payment.amount_minor == request.amount_minor
                && payment.currency == request.currency;
            return match payment.status {
                _ if !same => Reception::Mismatch,
                Status::Pending => Reception::InProgress,
                _ => Reception::Repeated(payment.clone()),
            };
        }
        match request.card.as_str() {
            "4242424242424242" => Reception::Settled(self.record(request, Status::Captured, None)),
            "4000000000000002" => self.decline(request, "card_declined"),
            "4000000000000119" => Reception::Failed,
            "4000000000000259" => {
                self.record(request, Status::Captured, None);
                Reception::TakenButReplyLost
            }
            "4000000000000341" => self.settle_after(request, Duration::from_secs(2)),
            "4000000000000366" => self.settle_after(request, Duration::from_secs(30)),
            "4000000000000374" => self.fail_first(request),
            _ => self.decline(request, "invalid_card"),
        }
    }

    /// Captures a pending payment.
    pub fn settle(&mut self, order_id: Uuid) {
        if let Some(payment) = self.payments.get_mut(&order_id)
            && payment.status == Status::Pending
        {
            payment.status = Status::Captured;
        }
    }

    /// Gives the money back; repeated, the same answer.
    pub fn refund(&mut self, order_id: Uuid) -> Result<Payment, NoRefund> {
        let payment = self.payments.get_mut(&order_id).ok_or(NoRefund::Unknown)?;
        match payment.status {
            Status::Captured | Status::Refunded => payment.status = Status::Refunded,
            Status::Pending | Status::Declined => return Err(NoRefund::NothingCaptured),
        }
        Ok(payment.clone())
    }

    /// An order's payment as it stands.
    pub fn find(&self, order_id: Uuid) -> Option<&Payment> {
        self.payments.get(&order_id)
    }

    /// All payments, for audits.
    pub fn all(&self) -> impl Iterator<Item = &Payment> {
        self.payments.values()
    }

    fn record(
        &mut self,
        request: &PaymentRequest,
        status: Status,
        reason: Option<&'static str>,
    ) -> Payment {
        let payment = Payment {
            payment_id: format!("pay_{}", request.order_id.simple()),
            order_id: request.order_id,
            status,
            amount_minor: request.amount_minor,
            currency: request.currency.clone(),
            reason,
        };
        self.failures.remove(&request.order_id);
        self.payments.insert(request.order_id, payment.clone());
        payment
    }

    fn decline(&mut self, request: &PaymentRequest, reason: &'static str) -> Reception {
        Reception::Settled(self.record(request, Status::Declined, Some(reason)))
    }

    fn settle_after(&mut self, request: &PaymentRequest, delay: Duration) -> Reception {
        self.record(request, Status::Pending, None);
        Reception::SettleAfter(delay)
    }

    fn fail_first(&mut self, request: &PaymentRequest) -> Reception {
        match self.failures.entry(request.order_id) {
            Entry::Vacant(first) => {
                first.insert(1);
                Reception::Failed
            }
            Entry::Occupied(_) => Reception::Settled(self.record(request, Status::Captured, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(order: u128, card: &str) -> PaymentRequest {
        PaymentRequest {
            order_id: Uuid::from_u128(order),
            amount_minor: 1250,
            currency: "GBP".into(),
            card: card.into(),
        }
    }

    fn status(ledger: &Ledger, order: u128) -> Option<Status> {
        ledger
            .find(Uuid::from_u128(order))
            .map(|payment| payment.status)
    }

    #[test]
    fn a_good_card_is_captured_once_however_often_it_is_sent() {
        let mut ledger = Ledger::default();
        let request = request(1, "4242424242424242");
        let Reception::Settled(first) = ledger.receive(&request) else {
            panic!("not settled")
        };
        assert_eq!(first.status, Status::Captured);
        assert_eq!(ledger.receive(&request), Reception::Repeated(first));
        assert_eq!(ledger.all().count(), 1);
    }

    #[test]
    fn another_amount_for_the_same_order_is_refused() {
        let mut ledger = Ledger::default();
        ledger.receive(&request(1, "4242424242424242"));
        let dearer = PaymentRequest {
            amount_minor: 1251,
            ..request(1, "4242424242424242")
        };
        assert_eq!(ledger.receive(&dearer), Reception::Mismatch);
        assert_eq!(ledger.find(Uuid::from_u128(1)).unwrap().amount_minor, 1250);
    }

    #[test]
    fn bad_cards_are_declined_with_their_reason() {
        let mut ledger = Ledger::default();
        for (order, card, reason) in [
            (1, "4000000000000002", "card_declined"),
            (2, "1", "invalid_card"),
        ] {
            let Reception::Settled(payment) = ledger.receive(&request(order, card)) else {
                panic!("not settled")
            };
            assert_eq!(
                (payment.status, payment.reason),
                (Status::Declined, Some(reason))
            );
        }
    }

    #[test]
    fn a_failing_provider_takes_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(
            ledger.receive(&request(1, "4000000000000119")),
            Reception::Failed
        );
        assert_eq!(
            ledger.receive(&request(1, "4000000000000119")),
            Reception::Failed
        );
        assert_eq!(status(&ledger, 1), None);
    }

    #[test]
    fn a_provider_that_recovers_takes_the_second_attempt() {
        let mut ledger = Ledger::default();
        assert_eq!(
            ledger.receive(&request(1, "4000000000000374")),
            Reception::Failed
        );
        assert_eq!(status(&ledger, 1), None);
        assert!(matches!(
            ledger.receive(&request(1, "4000000000000374")),
            Reception::Settled(_)
        ));
        assert_eq!(status(&ledger, 1), Some(Status::Captured));
    }

    #[test]
    fn a_lost_reply_is_found_when_asked_again() {
        let mut ledger = Ledger::default();
        let request = request(1, "4000000000000259");
        assert_eq!(ledger.receive(&request), Reception::TakenButReplyLost);
        assert!(matches!(ledger.receive(&request), Reception::Repeated(_)));
        assert_eq!(status(&ledger, 1), Some(Status::Captured));
    }

    #[test]
    fn a_slow_payment_is_pending_until_it_settles() {
        let mut ledger = Ledger::default();
        let request = request(1, "4000000000000366");
        assert_eq!(
            ledger.receive(&request),
            Reception::SettleAfter(Duration::from_secs(30))
        );
        assert_eq!(ledger.receive(&request), Reception::InProgress);
        assert_eq!(
            ledger.refund(request.order_id),
            Err(NoRefund::NothingCaptured)
        );
        ledger.settle(request.order_id);
        assert_eq!(status(&ledger, 1), Some(Status::Captured));
    }

    #[test]
    fn only_what_was_captured_is_refunded_and_that_once() {
        let mut ledger = Ledger::default();
        ledger.receive(&request(1, "4242424242424242"));
        ledger.receive(&request(2, "4000000000000002"));
        let first = ledger.refund(Uuid::from_u128(1)).unwrap();
        assert_eq!(first.status, Status::Refunded);
        assert_eq!(ledger.refund(Uuid::from_u128(1)), Ok(first));
        assert_eq!(
            ledger.refund(Uuid::from_u128(2)),
            Err(NoRefund::NothingCaptured)
        );
        assert_eq!(ledger.refund(Uuid::from_u128(3)), Err(NoRefund::Unknown));
        // A settlement that comes late does not undo a refund.
        ledger.settle(Uuid::from_u128(1));
        assert_eq!(status(&ledger, 1), Some(Status::Refunded));
    }
}
