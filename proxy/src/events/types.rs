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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::orders::Reason;

    fn page() -> String {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
        std::fs::read_to_string(page).expect("the page")
    }

    /// The code spans of a text, word by word.
    fn words(text: &str) -> BTreeSet<&str> {
        let spans = text.split('`').skip(1).step_by(2);
        spans.flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn every_type_is_a_row_of_the_page_and_no_other() {
        let refused = serde_json::from_str::<EventType>("\"Nonsense\"").expect_err("it is none");
        let refused = refused.to_string();
        let (_, known) = refused.split_once("expected").expect("what is known");
        let page = page();
        let (_, table) = page.split_once("| `ce_type` | when |").expect("the table");
        let (table, _) = table.split_once("\n\n").expect("its end");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
        assert!(documented.len() > 10, "{documented:?}");
        assert_eq!(documented, words(known));
    }

    #[test]
    fn every_reason_is_in_the_page() {
        let page = page();
        let (_, reasons) = page.split_once("`reason` is one of ").expect("the reasons");
        let documented = words(reasons.split(';').next().unwrap_or_default());
        // An order that is turned away before it is recorded has no events.
        let untold = [Reason::Overloaded, Reason::KeyTaken, Reason::BuyerLimit];
        let told = Reason::ALL
            .into_iter()
            .filter(|reason| !untold.contains(reason));
        assert_eq!(documented, told.map(Reason::as_str).collect());
    }
}
