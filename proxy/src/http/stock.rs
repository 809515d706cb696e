//! `/v1/stock`: anyone looks, the operator changes.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::page::Limit;
use super::{Answer, Call, Kind, Problem, json};
use crate::catalogue::Sku;
use crate::catalogue::stock_change::{
    self, Adjusted, Adjustment, AdjustmentId, MAX_STOCK, Reason, Refusal,
};
use crate::live::short::{self, State};
use crate::live::shown::{NotShown, look};

/// What is low where nobody says what that is.
const LOW: i64 = 5;

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
    /// Units to add, or to take off if negative; never 0.
    #[schemars(range(min = -MAX_STOCK, max = MAX_STOCK), extend("not" = { "const": 0 }))]
    delta: i64,
    reason: Reason,
}

/// Which part of the list of short products is asked for.
#[derive(Deserialize, JsonSchema)]
pub struct ShortQuery {
    state: State,
    /// A product is low that has so many units available, or fewer; 5 if left out.
    #[schemars(range(min = 0, max = MAX_STOCK))]
    threshold: Option<i64>,
    #[serde(default)]
    limit: Limit,
    /// The list begins behind this SKU.
    after: Option<Sku>,
}

/// `GET /v1/stock?state&threshold&limit&after`
pub async fn short(call: Call) -> Answer {
    let ShortQuery {
        state,
        threshold,
        limit,
        after,
    } = call.asked()?;
    let threshold = threshold.unwrap_or(LOW);
    if !(0..=MAX_STOCK).contains(&threshold) {
        let detail = format!("threshold: must be from 0 to {MAX_STOCK}");
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    let (gateway, store) = (&call.app.gateway, &call.app.store);
    let limit = limit.get() as usize;
    let page = short::page(gateway, store, (state, threshold), after, limit).await?;
    json(StatusCode::OK, &page)
}

/// `GET /v1/stock/{sku}`
pub async fn get(call: Call) -> Answer {
    let sku = call.sku()?;
    let shown = look(&call.app.gateway, &call.app.store, &sku).await?;
    json(StatusCode::OK, &shown)
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

impl From<NotShown> for Problem {
    fn from(error: NotShown) -> Self {
        match error {
            NotShown::Unknown(_) => Problem::new(Kind::NotFound, error.to_string()),
            NotShown::Lost(_) => Problem::new(Kind::Unavailable, error.to_string()),
            NotShown::Gateway(error) => error.into(),
            NotShown::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::UnknownProduct(_) => Problem::new(Kind::NotFound, detail),
            Refusal::Mismatch { .. } => Problem::new(Kind::Mismatch, detail),
            Refusal::OutOfRange { .. } => Problem::new(Kind::StockOutOfRange, detail),
            Refusal::BelowHeld(_) => Problem::new(Kind::BelowHeld, detail),
            Refusal::Store(error) => error.into(),
        }
    }
}
