//! `/v1/stock`: anyone looks, the operator changes.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, Kind, Problem, json};
use crate::catalogue::Sku;
use crate::catalogue::stock_change::{
    self, Adjusted, Adjustment, AdjustmentId, MAX_STOCK, Reason, Refusal,
};
use crate::gateway::inventory::Stock;

/// What a count found.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Unsold units.
    #[schemars(range(min = 0, max = MAX_STOCK))]
    on_hand: i64,
}

/// A change of the stock.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    adjustment_id: AdjustmentId,
    delta: i64,
    reason: Reason,
}

/// The stock of one product.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Stock")]
pub struct Shown {
    sku: Sku,
    #[serde(flatten)]
    stock: Stock,
}

/// `GET /v1/stock/{sku}`
pub async fn get(call: Call) -> Answer {
    let sku = call.sku()?;
    let stock = match call.app.gateway.stock(&sku).await? {
        Some(stock) => stock,
        None if call.app.store.product(&sku).await?.is_none() => return Err(unknown(&sku)),
        // A product that was never stocked, or is sold out and forgotten.
        None if call.app.store.unsold(&sku).await? == 0 => Stock::default(),
        None => return Err(lost(&sku)),
    };
    json(StatusCode::OK, &Shown { sku, stock })
}

/// `PUT /v1/stock/{sku}`
pub async fn set(mut call: Call) -> Answer {
    let sku = call.sku()?;
    let Count { on_hand } = call.json().await?;
    if !(0..=MAX_STOCK).contains(&on_hand) {
        return Err(Problem::new(
            Kind::InvalidValue,
            format!("on_hand: must be from 0 to {MAX_STOCK}"),
        ));
    }
    answer(stock_change::set(&call.app.store, &call.app.gateway, &sku, on_hand).await)
}

/// `POST /v1/stock/{sku}/adjustments`
pub async fn adjust(mut call: Call) -> Answer {
    let sku = call.sku()?;
    let Change {
        adjustment_id,
        delta,
        reason,
    } = call.json().await?;
    if delta == 0 || delta.unsigned_abs() > MAX_STOCK.unsigned_abs() {
        let detail = format!("delta: must be from 1 to {MAX_STOCK}, or as much below 0");
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    let adjustment = Adjustment {
        sku,
        delta,
        adjustment_id,
        reason,
    };
    answer(stock_change::adjust(&call.app.store, &call.app.gateway, &adjustment).await)
}

/// 200 when the gate has the change, 202 when it stands and the gate gets it later.
fn answer(changed: Result<Adjusted, Refusal>) -> Answer {
    let adjusted = changed?;
    let status = if adjusted.delivered {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    json(status, &adjusted)
}

fn unknown(sku: &Sku) -> Problem {
    Problem::new(Kind::NotFound, format!("there is no product {sku}"))
}

/// Redis has lost the count, and the reconciler brings it back.
fn lost(sku: &Sku) -> Problem {
    let detail = format!("the stock of {sku} is not known at this moment; try again in a moment");
    Problem::new(Kind::Unavailable, detail)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::UnknownProduct(_) => Problem::new(Kind::NotFound, detail),
            Refusal::Mismatch { .. } => Problem::new(Kind::Mismatch, detail),
            Refusal::OutOfRange { .. } => Problem::new(Kind::InvalidValue, detail),
            Refusal::BelowHeld(_) => Problem::new(Kind::BelowHeld, detail),
            Refusal::Store(error) => error.into(),
        }
    }
}
