//! The events and their bodies. docs/events.md is the reference.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalogue::Sku;
use crate::orders::Order;

/// What kind of thing happened; the word is `ce_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EventType {
    /// Somebody wants to buy.
    SagaStarted,
    /// Every line of the order is held.
    InventoryReserved,
    /// The order is recorded as PENDING.
    OrderCreated,
    /// The money was taken.
    PaymentProcessed,
    /// The order is sold.
    OrderConfirmed,
    /// The money was not taken.
    PaymentFailed,
    /// The held units are free again.
    InventoryReleased,
    /// The order was called off.
    OrderCancelled,
    /// The order was called off because time ran out.
    OrderExpired,
    /// The money was given back.
    OrderRefunded,
    /// The count of a SKU was changed by the shop.
    StockAdjusted,
}

impl EventType {
    /// The word in SQL and in `ce_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::SagaStarted => "SagaStarted",
            EventType::InventoryReserved => "InventoryReserved",
            EventType::OrderCreated => "OrderCreated",
            EventType::PaymentProcessed => "PaymentProcessed",
            EventType::OrderConfirmed => "OrderConfirmed",
            EventType::PaymentFailed => "PaymentFailed",
            EventType::InventoryReleased => "InventoryReleased",
            EventType::OrderCancelled => "OrderCancelled",
            EventType::OrderExpired => "OrderExpired",
            EventType::OrderRefunded => "OrderRefunded",
            EventType::StockAdjusted => "StockAdjusted",
        }
    }
}

/// One event, ready for the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique; consumers deduplicate by it (`ce_id`).
    pub id: Uuid,
    /// What kind.
    pub event_type: EventType,
    /// What Kafka partitions and orders by: the order id, or the SKU of a stock event.
    pub key: String,
    /// The JSON body.
    pub body: Value,
}

impl Event {
    /// An event of an order. `facts` are the members that only this kind has.
    pub fn of_order(event_type: EventType, order: &Order, facts: Map<String, Value>) -> Self {
        let mut body = json!({
            "order_id": order.id,
            "user_id": order.user_id,
            "lines": order.lines,
            "total_minor": order.total_minor,
            "currency": order.currency,
        });
        if let Value::Object(members) = &mut body {
            members.extend(facts);
        }
        Self {
            id: Uuid::now_v7(),
            event_type,
            key: order.id.to_string(),
            body,
        }
    }
}

/// `StockAdjusted`: the shop changed the count of `sku` by `delta`; `stock` is the count after.
pub fn stock_event(sku: &Sku, delta: i64, stock: i64, adjustment_id: &str, reason: &str) -> Event {
    Event {
        id: Uuid::now_v7(),
        event_type: EventType::StockAdjusted,
        key: sku.to_string(),
        body: json!({
            "sku": sku,
            "delta": delta,
            "adjustment_id": adjustment_id,
            "reason": reason,
            "balances": [{ "sku": sku, "stock": stock }],
        }),
    }
}
