//! Why an order came to nothing.

use super::{Actor, Status};

/// Why an order was not bought, or is not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer units were available than asked for.
    OutOfStock,
    /// The holds were lost, and the units were gone when they were taken again.
    SoldOut,
    /// The checkout hold ended before it was paid for, and its units could not be taken again.
    HoldExpired,
    /// The provider said no.
    PaymentDeclined,
    /// The provider could not be made to take the money.
    PaymentFailed,
    /// The provider took longer over the payment than `payment.patience_ms`.
    PaymentTimeout,
    /// MySQL had less stock than Redis thought.
    StockRefused,
    /// Redis or MySQL did not answer before anything was decided.
    Unavailable,
    /// More orders waited to be written than can be written in time.
    Overloaded,
    /// The same Idempotency-Key, or the same hold, was used by a request that came first.
    KeyTaken,
    /// The buyer may not have so much of a product that has a limit.
    BuyerLimit,
    /// Recovery found the order unpaid, or its money given back.
    Abandoned,
    /// The shopper called it off.
    CancelledByShopper,
    /// Somebody of the shop called it off.
    CancelledBySupport,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 14] = [
        Reason::OutOfStock,
        Reason::SoldOut,
        Reason::HoldExpired,
        Reason::PaymentDeclined,
        Reason::PaymentFailed,
        Reason::PaymentTimeout,
        Reason::StockRefused,
        Reason::Unavailable,
        Reason::Overloaded,
        Reason::KeyTaken,
        Reason::BuyerLimit,
        Reason::Abandoned,
        Reason::CancelledByShopper,
        Reason::CancelledBySupport,
    ];

    /// The word in SQL, events and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OutOfStock => "out_of_stock",
            Reason::SoldOut => "sold_out",
            Reason::HoldExpired => "hold_expired",
            Reason::PaymentDeclined => "payment_declined",
            Reason::PaymentFailed => "payment_failed",
            Reason::PaymentTimeout => "payment_timeout",
            Reason::StockRefused => "stock_refused",
            Reason::Unavailable => "unavailable",
            Reason::Overloaded => "overloaded",
            Reason::KeyTaken => "key_taken",
            Reason::BuyerLimit => "buyer_limit",
            Reason::Abandoned => "abandoned",
            Reason::CancelledByShopper => "cancelled_by_shopper",
            Reason::CancelledBySupport => "cancelled_by_support",
        }
    }

    /// The reason that a word of SQL stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// True when somebody wanted the order to come to nothing.
    pub fn is_cancellation(self) -> bool {
        matches!(
            self,
            Reason::CancelledByShopper | Reason::CancelledBySupport
        )
    }

    /// Who calls an order off for this.
    pub fn actor(self) -> Actor {
        match self {
            Reason::CancelledByShopper => Actor::Shopper,
            Reason::CancelledBySupport => Actor::Support,
            Reason::PaymentDeclined => Actor::Provider,
            _ => Actor::System,
        }
    }

    /// What an order becomes that is called off for this: EXPIRED where time ran out, else
    /// CANCELLED.
    pub fn status(self) -> Status {
        match self {
            Reason::Abandoned | Reason::PaymentTimeout | Reason::HoldExpired => Status::Expired,
            _ => Status::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_as_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
            let json = serde_json::to_value(reason).expect("a word");
            assert_eq!(json, reason.as_str());
        }
        assert_eq!(Reason::from_word("because"), None);
    }

    #[test]
    fn only_what_ran_out_of_time_expires() {
        let expired = Reason::ALL
            .into_iter()
            .filter(|reason| reason.status() == Status::Expired);
        let words: Vec<_> = expired.map(Reason::as_str).collect();
        assert_eq!(words, ["hold_expired", "payment_timeout", "abandoned"]);
    }
}
