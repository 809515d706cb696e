//! A shop in order, for the tests to doctor: two products, five orders, each with another history.

use uuid::Uuid;

use super::events::{Message, OUTBOX, Place};
use super::orders::{Hold, Line, Order, Outcome, Status};
use super::stock::{Comparison, Ledger, LogRow};
use super::{Evidence, HoldId, LiveHold};

/// Sold.
pub const SALE: Uuid = Uuid::from_u128(1);
/// Its card was declined.
pub const DECLINED: Uuid = Uuid::from_u128(2);
/// Sold, then called off by the shopper, and refunded.
pub const TAKEN_BACK: Uuid = Uuid::from_u128(3);
/// Given up, because nobody paid in time.
pub const RAN_OUT: Uuid = Uuid::from_u128(4);
/// Being paid for.
pub const IN_FLIGHT: Uuid = Uuid::from_u128(5);
/// Refused for stock: only Kafka knows it.
pub const REFUSED: Uuid = Uuid::from_u128(6);
/// Of which nobody has heard.
pub const NOBODY: Uuid = Uuid::from_u128(7);

/// All but its stock lies in what the orders say: ten lamps and ten mugs came in.
pub fn sound() -> Evidence {
    let mut evidence = Evidence::default();
    let (lamp, mug) = (evidence.stocks.place("LAMP"), evidence.stocks.place("MUG"));
    let committed = Some(Outcome::Committed);
    let aborted = Some(Outcome::Aborted);
    let histories = [
        (SALE, Status::Confirmed, committed, ""),
        (DECLINED, Status::Cancelled, aborted, "payment_declined"),
        (TAKEN_BACK, Status::Refunded, committed, "requested"),
        (RAN_OUT, Status::Expired, aborted, "abandoned"),
        (IN_FLIGHT, Status::Pending, None, ""),
    ];
    for (id, status, outcome, reason) in histories {
        let mut order = Order::new(id, status);
        order.outcome = outcome;
        order.settled = id != IN_FLIGHT;
        order.unexplained_minor = 500;
        order.created_ms = 1000;
        evidence.orders.add(order, reason);
    }
    for (id, ..) in histories {
        evidence.orders.add_line(id, line(lamp, 1), 200);
        evidence.orders.add_line(id, line(mug, 3), 300);
    }
    log(&mut evidence, lamp, None, ("put_in", 10, 10));
    log(&mut evidence, mug, None, ("put_in", 10, 10));
    log(&mut evidence, lamp, Some(SALE), ("sold", -1, 9));
    log(&mut evidence, mug, Some(SALE), ("sold", -3, 7));
    log(&mut evidence, lamp, Some(TAKEN_BACK), ("sold", -1, 8));
    log(&mut evidence, mug, Some(TAKEN_BACK), ("sold", -3, 4));
    log(&mut evidence, lamp, Some(TAKEN_BACK), ("returned", 1, 9));
    log(&mut evidence, mug, Some(TAKEN_BACK), ("returned", 3, 7));
    for (sku, stock, held) in [(lamp, 9, 1), (mug, 7, 3)] {
        let row = evidence.stocks.at_mut(sku);
        row.stock = Some(stock);
        row.ledger = Some(Ledger {
            on_hand: stock,
            held,
            prepared: held,
            available: stock - held,
            sold: held,
            seq: 9,
            holds: 1,
            shortfall: 0,
        });
        row.comparison = Comparison {
            is_still: true,
            on_hand: Some(stock),
            held,
            stock: Some(stock),
            ..Comparison::default()
        };
        evidence.holds.push(LiveHold {
            sku,
            id: HoldId::Order(IN_FLIGHT),
            prepared: true,
            units: held,
            stays: true,
        });
        for id in [SALE, TAKEN_BACK] {
            line_of(&mut evidence, id, sku).hold = Hold::Confirmed;
        }
    }
    evidence.in_flight.orders = 1;
    evidence.in_flight.held_units = 4;
    evidence.acknowledged = vec![SALE, TAKEN_BACK];
    tell_everything(&mut evidence);
    evidence.events.sort();
    evidence
}

fn tell_everything(evidence: &mut Evidence) {
    for sku in ["LAMP", "MUG"] {
        tell_stock(evidence, sku, &format!("{sku}-put_in"), 10);
    }
    let begun = ["SagaStarted", "InventoryReserved", "OrderCreated"];
    for id in [SALE, DECLINED, TAKEN_BACK, RAN_OUT, IN_FLIGHT] {
        tell(evidence, id, &begun, "");
    }
    tell(evidence, SALE, &["PaymentProcessed", "OrderConfirmed"], "");
    tell(
        evidence,
        DECLINED,
        &["PaymentFailed", "InventoryReleased", "OrderCancelled"],
        "payment_declined",
    );
    tell(
        evidence,
        TAKEN_BACK,
        &["PaymentProcessed", "OrderConfirmed"],
        "",
    );
    tell(
        evidence,
        TAKEN_BACK,
        &["OrderCancelled", "OrderRefunded"],
        "requested",
    );
    tell(
        evidence,
        RAN_OUT,
        &["InventoryReleased", "OrderExpired"],
        "abandoned",
    );
    tell(
        evidence,
        REFUSED,
        &["SagaStarted", "OrderCancelled"],
        "out_of_stock",
    );
}

/// Tells events of an order, as they are in Kafka.
pub fn tell(evidence: &mut Evidence, order: Uuid, types: &[&str], reason: &str) {
    for event_type in types {
        tell_at(evidence, order, event_type, reason, Place::Early);
    }
}

/// Tells one event of an order.
pub fn tell_at(evidence: &mut Evidence, order: Uuid, event_type: &str, reason: &str, place: Place) {
    let key = order.to_string();
    let body = serde_json::json!({
        "order_id": key,
        "reason": reason,
        "lines": [{"sku": "LAMP", "quantity": 1}, {"sku": "MUG", "quantity": 3}],
    })
    .to_string();
    let message = Message {
        key: &key,
        event_type,
        event_id: &format!("{key}-{event_type}"),
        body: body.as_bytes(),
        place,
        partition: if place == Place::Waiting { OUTBOX } else { 0 },
    };
    evidence.add_event(message).expect("an event");
}

/// Tells a change of stock.
pub fn tell_stock(evidence: &mut Evidence, sku: &str, adjustment_id: &str, delta: i64) {
    let reason = if delta < 0 { "undone" } else { "received" };
    let body = serde_json::json!({"sku": sku, "delta": delta, "adjustment_id": adjustment_id, "reason": reason})
    .to_string();
    let message = Message {
        key: sku,
        event_type: "StockAdjusted",
        event_id: &format!("{adjustment_id}-{delta}"),
        body: body.as_bytes(),
        place: Place::Early,
        partition: 0,
    };
    evidence.add_event(message).expect("an event");
}

/// Logs a change: its reason, delta and balance.
pub fn log(evidence: &mut Evidence, sku: usize, order: Option<Uuid>, change: (&str, i64, i64)) {
    let (reason, delta, stock_after) = change;
    let rows: u64 = evidence.stocks.iter().map(|stock| stock.log.rows).sum();
    let name = format!("{}-{reason}", evidence.stocks.at(sku).name);
    let row = LogRow {
        id: rows as i64 + 1,
        order,
        delta,
        stock_after,
        reason,
        adjustment_id: order.is_none().then_some(&name),
        acknowledged: true,
        created_ms: 1000,
    };
    evidence.add_log(sku, &row);
}

/// The line of an order, to be doctored.
pub fn line_of(evidence: &mut Evidence, order: Uuid, sku: usize) -> &mut Line {
    evidence
        .orders
        .line_mut(order, sku)
        .expect("a line of the sample")
}

fn line(sku: usize, quantity: i64) -> Line {
    Line {
        sku,
        quantity,
        ..Line::default()
    }
}
