//! An event as a line that a newcomer understands. docs/events.md has the bodies.

use serde_json::Value;

use super::reader::Message;
use crate::retail::price::decimal;

/// Lines named one by one; an order may have a thousand.
const LINES_NAMED: usize = 3;

/// `time  type  key  sentence`.
pub(super) fn tell(message: &Message) -> String {
    let (time, kind) = (message.header("ce_time"), message.header("ce_type"));
    let time = match time.split_once('.') {
        // Milliseconds: the digits behind them tell nobody anything.
        Some((seconds, fraction)) => format!("{seconds}.{:0<3.3}Z", fraction.trim_end_matches('Z')),
        None => time.to_owned(),
    };
    format!(
        "{time:<24}  {kind:<17}  {:<36}  {}",
        message.key,
        sentence(kind, &message.body)
    )
}

fn sentence(kind: &str, body: &Value) -> String {
    match kind {
        "SagaStarted" => format!("a shopper wants {}", lines(body)),
        "InventoryReserved" => format!("held: {}", lines(body)),
        "OrderCreated" => format!("recorded as PENDING, {}", total(body)),
        "PaymentProcessed" => format!("paid {}", total(body)),
        "OrderConfirmed" => format!("sold: {} for {}", lines(body), total(body)),
        "PaymentFailed" => format!("not paid: {}", reason(body)),
        "InventoryReleased" => format!("free again: {}", lines(body)),
        "OrderCancelled" => format!("called off: {}", reason(body)),
        "OrderRefunded" => format!("gave back {}", total(body)),
        "StockAdjusted" => {
            let [delta, stock] = [&body["delta"], &body["balances"][0]["stock"]].map(whole);
            format!("stock {delta:+} ({}), now {stock}", reason(body))
        }
        _ => body.to_string(),
    }
}

fn lines(body: &Value) -> String {
    let lines = body["lines"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let named = lines.iter().take(LINES_NAMED);
    let named: Vec<String> = named
        .map(|line| format!("{} x {}", whole(&line["quantity"]), word(&line["sku"])))
        .collect();
    match lines.len().saturating_sub(LINES_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn total(body: &Value) -> String {
    format!(
        "{} {}",
        decimal(whole(&body["total_minor"])),
        word(&body["currency"])
    )
}

fn reason(body: &Value) -> String {
    word(&body["reason"]).replace('_', " ")
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(kind: &str, body: Value) -> Message {
        let headers = json!({"ce_type": kind, "ce_time": "2026-11-21T10:00:00.1234567Z"});
        let Value::Object(headers) = headers else {
            panic!("an object")
        };
        Message {
            key: "k".into(),
            place: "0:0".into(),
            headers,
            body,
        }
    }

    #[test]
    fn an_event_is_one_line_with_its_time_type_key_and_sentence() {
        let sold = json!({
            "lines": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}, {"sku": "C", "quantity": 1}, {"sku": "D", "quantity": 9}],
            "total_minor": 1234, "currency": "GBP",
        });
        let line = tell(&message("OrderConfirmed", sold));
        assert!(
            line.starts_with("2026-11-21T10:00:00.123Z  OrderConfirmed     k "),
            "{line}"
        );
        assert!(
            line.ends_with("  sold: 2 x A, 1 x B, 1 x C and 1 more for 12.34 GBP"),
            "{line}"
        );
    }

    #[test]
    fn stock_and_refusals_are_told_with_their_reasons() {
        let adjusted =
            json!({"delta": -5, "reason": "written_off", "balances": [{"sku": "A", "stock": 7}]});
        assert!(
            tell(&message("StockAdjusted", adjusted)).ends_with("stock -5 (written off), now 7")
        );
        assert!(
            tell(&message(
                "OrderCancelled",
                json!({"reason": "out_of_stock"})
            ))
            .ends_with("called off: out of stock")
        );
    }

    #[test]
    fn what_is_unknown_is_shown_as_it_is() {
        assert!(tell(&message("Novelty", json!({"a": 1}))).ends_with("{\"a\":1}"));
        assert!(tell(&message("", json!("text"))).ends_with("\"text\""));
    }
}
