//! What Holdfast asks of a payment provider.

use futures::future::BoxFuture;
use uuid::Uuid;

/// Money to take for an order. The order id is the idempotency key: the same order is charged
/// once, however often it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Payment<'a> {
    /// For which order.
    pub order_id: Uuid,
    /// How much, minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: &'a str,
    /// What the buyer pays with, as the provider's checkout form gave it.
    pub card: &'a str,
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The money is ours.
    Captured {
        /// The provider's name for it.
        payment_id: String,
    },
    /// The provider said no, for good.
    Declined,
    /// The provider is still at it.
    Pending,
    /// The money was ours and was given back.
    Refunded,
    /// The provider never heard of it.
    NeverPaid,
}

/// The provider's answer was not had or not understood: what was asked may have been done.
#[derive(Debug, thiserror::Error)]
#[error("payment provider: {0}")]
pub struct Error(pub String);

/// A payment provider. Every call may be repeated.
pub trait Provider: Send + Sync {
    /// Takes the money.
    fn pay<'a>(&'a self, payment: Payment<'a>) -> BoxFuture<'a, Result<Standing, Error>>;

    /// Says how an order's payment stands.
    fn standing(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>>;

    /// Gives the money back; nothing to give back counts as given.
    fn refund(&self, order_id: Uuid) -> BoxFuture<'_, Result<(), Error>>;
}
