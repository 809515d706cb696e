//! An order: who buys what for how much, and how far that is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::request::Priced;
use crate::catalogue::Sku;

/// The module remembers a finished hold for an hour; this leaves room for clocks that differ.
const OUTCOME_RETENTION: Duration = Duration::minutes(50);

/// An order as it is bought. Its id is also the id of its holds and of its payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Order {
    /// UUIDv7, so that orders sort by time.
    #[serde(rename = "order_id")]
    pub id: Uuid,
    /// A user's id, or the owner id of a guest's session.
    #[serde(skip)]
    pub user_id: Uuid,
    /// What is bought, sorted by SKU, each SKU once.
    pub lines: Vec<OrderLine>,
    /// The sum of all lines, minor units.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// How far it is.
    pub status: Status,
    /// Why it was not bought, or is not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// True when it was made of its buyer's cart, which its sale empties.
    #[serde(skip)]
    pub from_cart: bool,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: OffsetDateTime,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: i64,
    /// The price of one when the order was placed, minor units.
    pub price_minor: i64,
    /// The price of all, minor units.
    pub amount_minor: i64,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "OrderStatus")]
pub enum Status {
    /// Recorded, not yet paid and confirmed.
    Pending,
    /// The provider has told that the money was taken; not yet confirmed.
    Paid,
    /// Sold: paid for, and the stock deducted.
    Confirmed,
    /// Called off; nothing is held, and money that was taken is on its way back.
    Cancelled,
    /// As CANCELLED, because time ran out.
    Expired,
    /// Called off, and the money that was taken is back.
    Refunded,
    /// Called off, and a person is needed to give the money back.
    Parked,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// It is sold.
    Sold,
    /// It was called off before it was sold.
    Undone,
    /// It was sold, cancelled and its units given back.
    Returned,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 7] = [
        Status::Pending,
        Status::Paid,
        Status::Confirmed,
        Status::Cancelled,
        Status::Expired,
        Status::Refunded,
        Status::Parked,
    ];

    /// The word in SQL, events and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "PENDING",
            Status::Paid => "PAID",
            Status::Confirmed => "CONFIRMED",
            Status::Cancelled => "CANCELLED",
            Status::Expired => "EXPIRED",
            Status::Refunded => "REFUNDED",
            Status::Parked => "PARKED",
        }
    }

    /// The status that a word of SQL stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl End {
    /// The statuses of an order that has ended so. A saga that lags behind must not settle what
    /// another has moved on.
    pub fn statuses(self) -> &'static [Status] {
        match self {
            End::Sold => &[Status::Confirmed],
            End::Undone | End::Returned => &[Status::Cancelled, Status::Expired, Status::Refunded],
        }
    }
}

impl Order {
    /// An order that has yet to be bought.
    pub fn new(id: Uuid, user_id: Uuid, priced: Priced) -> Self {
        Self {
            id,
            user_id,
            lines: priced.lines,
            total_minor: priced.total_minor,
            currency: priced.currency,
            status: Status::Pending,
            reason: None,
            from_cart: false,
            // As the table keeps it, so that an order never shows two times.
            created_at: OffsetDateTime::now_utc().truncate_to_millisecond(),
        }
    }

    /// True when it came to nothing, or no longer stands. One that is parked without a reason could
    /// not be read, and may be sold or be sold yet.
    pub fn is_called_off(&self) -> bool {
        match self.status {
            Status::Cancelled | Status::Expired | Status::Refunded => true,
            Status::Parked => self.reason.is_some(),
            Status::Pending | Status::Paid | Status::Confirmed => false,
        }
    }

    /// True while Redis is sure to remember a hold of this order that was confirmed. Later, a hold
    /// that it does not know may be one that it sold and forgot, and must not be sold again.
    pub fn may_be_taken_again(&self, now: OffsetDateTime) -> bool {
        may_be_taken_again(self.created_at, now)
    }

    /// The lines as the gate wants them.
    pub fn holds(&self) -> Vec<crate::gateway::inventory::Line<'_>> {
        self.lines
            .iter()
            .map(|line| (&line.sku, line.quantity))
            .collect()
    }
}

/// [`Order::may_be_taken_again`] of an order that was written then.
pub fn may_be_taken_again(created_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    now - created_at < OUTCOME_RETENTION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_order_is_not_taken_again() {
        let priced = Priced {
            lines: Vec::new(),
            total_minor: 0,
            currency: "GBP".into(),
        };
        let order = Order::new(Uuid::nil(), Uuid::nil(), priced);
        assert!(order.may_be_taken_again(order.created_at));
        assert!(order.may_be_taken_again(order.created_at + Duration::minutes(49)));
        assert!(!order.may_be_taken_again(order.created_at + Duration::minutes(50)));
    }

    #[test]
    fn what_was_parked_because_it_could_not_be_read_may_stand() {
        let priced = Priced {
            lines: Vec::new(),
            total_minor: 0,
            currency: "GBP".into(),
        };
        let mut order = Order::new(Uuid::nil(), Uuid::nil(), priced);
        order.status = Status::Parked;
        assert!(!order.is_called_off());
        order.reason = Some("abandoned".into());
        assert!(order.is_called_off());
    }

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!(Status::from_word(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_word("pending"), None);
    }
}
