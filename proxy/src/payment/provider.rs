//! What Holdfast asks of a payment provider.

use futures::future::BoxFuture;
use uuid::Uuid;

/// The longest name of a payment, bytes of ASCII: what `orders.payment_id` holds.
const LONGEST_PAYMENT_ID: usize = 64;

/// Whether an order's row can keep this name of a payment.
pub(super) fn is_payment_id(name: &str) -> bool {
    name.is_ascii() && name.len() <= LONGEST_PAYMENT_ID
}

/// Money to take for an order. The order id is what makes a repeated call the same one: an order
/// is charged once, however often it is asked for.
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

/// How an order's payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The money is set aside for us, and not ours yet.
    Authorised {
        /// The provider's name for the payment.
        payment_id: String,
    },
    /// The money is ours.
    Captured {
        /// The provider's name for the payment.
        payment_id: String,
    },
    /// The provider said no, for good.
    Declined,
    /// The provider is still at it: the money may be taken yet.
    Pending,
    /// The money was ours and was given back.
    Refunded,
    /// Nothing was taken. As the answer to a refund also: nothing will be, since a later payment
    /// of this order is refused.
    NeverPaid,
}

/// Why a call to the provider gave no standing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The provider was not reached, or did not take the call up: nothing was done, and the same
    /// call may be made again later.
    #[error("the payment provider was not asked: {0}")]
    NotSent(String),
    /// The provider refused the call itself: nothing was done, and the same call will be refused
    /// again.
    #[error("the payment provider refuses: {0}")]
    Refused(String),
    /// The answer was not had or not understood: what was asked may have been done. The same call
    /// may be made again, since every call is idempotent.
    #[error("the payment provider left no usable answer: {0}")]
    Unclear(String),
}

/// A payment provider. Every call may be repeated.
pub trait Provider: Send + Sync {
    /// Has the money set aside.
    fn authorise<'a>(&'a self, payment: Payment<'a>) -> BoxFuture<'a, Result<Standing, Error>>;

    /// Takes the money that was set aside.
    fn capture(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>>;

    /// Gives back what was taken, lets go what was set aside, and has every later payment of the
    /// order refused. `Refunded` and `NeverPaid` are final; after `Pending` it is to be repeated.
    fn refund(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>>;

    /// True while no call would be let through, so that nobody need begin what it could not pay.
    fn is_left_alone(&self) -> bool;

    /// Says how an order's payment stands.
    fn standing(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>>;
}
