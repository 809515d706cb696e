//! The outbox, and which events tell of what.

use crate::machine::Reason;
use crate::order::{OrderNo, SkuNo};

/// What Kafka orders by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An order's id.
    Order(OrderNo),
    /// A SKU.
    Sku(SkuNo),
}

/// `ce_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// docs/events.md says what each is.
#[allow(missing_docs)]
pub enum EventType {
    SagaStarted,
    InventoryReserved,
    OrderCreated,
    PaymentProcessed,
    OrderConfirmed,
    PaymentFailed,
    InventoryReleased,
    OrderCancelled,
    OrderExpired,
    OrderRefunded,
    StockAdjusted,
}

/// An event with its unique id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// `ce_id`, and its place in the outbox.
    pub id: u64,
    /// What it is ordered by.
    pub key: Key,
    /// What happened.
    pub kind: EventType,
}

/// A row of `outbox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// What waits.
    pub event: Event,
    /// It waits for an operator.
    pub parked: bool,
}

/// What a transaction made of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was recorded.
    Recorded,
    /// It was sold.
    Sold,
    /// It was called off before.
    CalledOff(Reason),
    /// It was cancelled after.
    Returned,
    /// Its money was written down as given back.
    Refunded,
}

impl Change {
    /// The events that tell of it.
    pub fn events(self) -> &'static [EventType] {
        match self {
            Change::Recorded => RECORDED,
            Change::Sold => SOLD,
            Change::CalledOff(reason) => called_off_events(reason),
            Change::Returned => RETURNED,
            Change::Refunded => REFUNDED,
        }
    }
}

pub(super) const RECORDED: &[EventType] = &[
    EventType::SagaStarted,
    EventType::InventoryReserved,
    EventType::OrderCreated,
];
/// The events of a sale.
pub const SOLD: &[EventType] = &[EventType::PaymentProcessed, EventType::OrderConfirmed];
pub(super) const RETURNED: &[EventType] = &[EventType::OrderCancelled];
pub(super) const REFUNDED: &[EventType] = &[EventType::OrderRefunded];

pub(super) fn called_off_events(reason: Reason) -> &'static [EventType] {
    use EventType as E;
    match (reason, expires(reason)) {
        (Reason::PaymentDeclined | Reason::PaymentFailed, _) => {
            &[E::PaymentFailed, E::InventoryReleased, E::OrderCancelled]
        }
        (Reason::PaymentTimeout, _) => &[E::PaymentFailed, E::InventoryReleased, E::OrderExpired],
        (_, true) => &[E::InventoryReleased, E::OrderExpired],
        (_, false) => &[E::InventoryReleased, E::OrderCancelled],
    }
}

/// Whether an order that is called off for this reason ran out of time.
pub(super) fn expires(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Abandoned | Reason::PaymentTimeout | Reason::HoldExpired
    )
}
