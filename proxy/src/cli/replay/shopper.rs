//! One shopper: views the goods, orders them, brings them back.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::order_log::OrderLog;
use super::sessions::Sessions;
use super::shop::{Answer, Shop, Unknown, in_words};
use crate::catalogue::Sku;
use crate::retail::account::{Fate, Outcome};
use crate::retail::invoice::Invoice;
use crate::retail::record::Line;

/// The most items that are looked at before an order: a shopper's patience, not the shop's limit.
const VIEWS: usize = 24;
/// Time between two looks at an order that is not decided yet.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A settled row: its place in the sheet, and what became of it.
pub(super) type Settled = (usize, Fate);

/// Acts for all shoppers; what differs between them is their session.
pub(super) struct Shopper {
    shop: Shop,
    run_id: String,
    card: String,
    orders: Option<OrderLog>,
    sessions: Sessions,
    currency: OnceLock<String>,
}

/// An order as the API shows it (docs/http.md).
#[derive(Debug, Deserialize)]
struct Order {
    order_id: String,
    status: String,
    lines: Vec<OrderLine>,
    total_minor: i64,
    currency: String,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OrderLine {
    sku: Sku,
    price_minor: i64,
}

impl Shopper {
    /// Shoppers of `shop`, whose ids all begin with `run_id`.
    pub fn new(shop: Shop, run_id: String, card: String, orders: Option<OrderLog>) -> Self {
        Self {
            shop,
            run_id,
            card,
            orders,
            sessions: Sessions::default(),
            currency: OnceLock::new(),
        }
    }

    /// Where they shop.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// The currency that the shop charged; empty before the first order.
    pub fn currency(&self) -> &str {
        self.currency.get().map_or("", String::as_str)
    }

    /// Buys the lines of an invoice: all or none.
    ///
    /// # Errors
    /// When the order cannot be written to the file of `--orders`.
    pub async fn buy(&self, invoice: &Invoice) -> std::io::Result<Vec<Settled>> {
        let order = match self.order(invoice).await {
            Ok(Ok(order)) => order,
            Ok(Err(refusal)) => return Ok(settle(invoice, Outcome::Refused, &refusal)),
            Err(Unknown(why)) => return Ok(settle(invoice, Outcome::Failed, &why)),
        };
        if let Some(orders) = &self.orders {
            orders.write(&invoice.number, &order.order_id, order.total_minor)?;
        }
        let currency = self.currency.get_or_init(|| order.currency.clone());
        let prices: HashMap<&Sku, i64> = order
            .lines
            .iter()
            .map(|line| (&line.sku, line.price_minor))
            .collect();
        let charged = |line: &Line| {
            prices
                .get(&line.sku)
                .map_or(0, |price| price * line.quantity)
        };
        let total: i64 = invoice.lines.iter().map(charged).sum();
        if total != order.total_minor || *currency != order.currency {
            let why = format!(
                "order {} was charged otherwise than its lines cost",
                order.order_id
            );
            return Ok(settle(invoice, Outcome::Failed, &why));
        }
        let sold = |line: &Line| fate(line, Outcome::Sold, "", charged(line));
        Ok(invoice
            .lines
            .iter()
            .map(|line| (line.row, sold(line)))
            .collect())
    }

    /// Brings the lines of a cancelled invoice back, each by itself.
    pub async fn bring_back(&self, invoice: &Invoice) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(invoice.lines.len());
        for line in &invoice.lines {
            let path = format!("/v1/stock/{}/adjustments", line.sku);
            let body = json!({
                "adjustment_id": format!("replay:{}:{}:{}", self.run_id, invoice.number, line.number),
                "delta": line.quantity,
                "reason": "returned",
            });
            let (outcome, reason) = match self
                .shop
                .insist(self.shop.post_as_operator(&path, &body))
                .await
            {
                Ok(Answer::Done(_)) => (Outcome::Returned, String::new()),
                Ok(Answer::No { problem, .. }) => (Outcome::Refused, in_words(&problem)),
                Err(Unknown(why)) => (Outcome::Failed, why),
            };
            settled.push((
                line.row,
                fate(line, outcome, &reason, line.price_minor * line.quantity),
            ));
        }
        settled
    }

    /// The confirmed order, or why there is none.
    async fn order(&self, invoice: &Invoice) -> Result<Result<Order, String>, Unknown> {
        let customer = invoice.customer.as_deref().unwrap_or(&invoice.number);
        let mut token = self.sessions.of(&self.shop, customer).await?;
        self.look_around(&token, invoice).await;
        let body = json!({ "items": invoice.items(), "payment": { "card": self.card } });
        let key = format!("replay:{}:{}", self.run_id, invoice.number);
        loop {
            let request = self
                .shop
                .post("/v1/orders", &body)
                .header("Idempotency-Key", &key);
            match self.shop.insist(request.bearer_auth(&token)).await? {
                Answer::Done(answer) => return self.decided(&token, answer).await,
                // A key counts for its session's owner, so a new session may only be taken when no
                // earlier attempt can have placed the order.
                Answer::No {
                    status: StatusCode::UNAUTHORIZED,
                    maybe_heard: false,
                    ..
                } => {
                    let renewed = self.sessions.renew(&self.shop, customer, &token).await?;
                    if renewed == token {
                        return Ok(Err("no session".into()));
                    }
                    token = renewed;
                }
                Answer::No {
                    status: StatusCode::UNAUTHORIZED,
                    ..
                } => {
                    return Err(Unknown(
                        "the session ended before the order was answered".into(),
                    ));
                }
                Answer::No { problem, .. } => return Ok(Err(in_words(&problem))),
            }
        }
    }

    /// Waits until an order that was taken down is confirmed or called off.
    async fn decided(&self, token: &str, answer: Value) -> Result<Result<Order, String>, Unknown> {
        let started = Instant::now();
        let mut order = read_order(answer)?;
        while order.status != "CONFIRMED" {
            if !matches!(order.status.as_str(), "PENDING" | "PAID") {
                let reason = order
                    .reason
                    .map_or_else(|| order.status.to_lowercase(), |reason| in_words(&reason));
                return Ok(Err(reason));
            }
            if started.elapsed() >= self.shop.patience() {
                return Err(Unknown(format!("the order is still {}", order.status)));
            }
            sleep(LOOK_AGAIN).await;
            let path = format!("/v1/orders/{}", order.order_id);
            order = match self.shop.insist(self.shop.get(&path, token)).await? {
                Answer::Done(answer) => read_order(answer)?,
                Answer::No { problem, .. } => {
                    return Err(Unknown(format!(
                        "the order cannot be looked at: {}",
                        in_words(&problem)
                    )));
                }
            };
        }
        Ok(Ok(order))
    }

    /// Views what is about to be bought. A page that fails keeps nobody from buying.
    async fn look_around(&self, token: &str, invoice: &Invoice) {
        let mut seen = HashSet::new();
        let items = invoice
            .lines
            .iter()
            .map(|line| &line.sku)
            .filter(|sku| seen.insert(*sku));
        for sku in items.take(VIEWS) {
            let body = json!({ "page": format!("/products/{sku}"), "item": sku });
            let view = self
                .shop
                .post("/v1/sessions/current/touch", &body)
                .bearer_auth(token);
            if !self.shop.attempt(view).await {
                return;
            }
        }
    }
}

fn read_order(answer: Value) -> Result<Order, Unknown> {
    serde_json::from_value(answer)
        .map_err(|error| Unknown(format!("the order cannot be read: {error}")))
}

fn settle(invoice: &Invoice, outcome: Outcome, reason: &str) -> Vec<Settled> {
    let settled = |line: &Line| {
        (
            line.row,
            fate(line, outcome, reason, line.price_minor * line.quantity),
        )
    };
    invoice.lines.iter().map(settled).collect()
}

fn fate(line: &Line, outcome: Outcome, reason: &str, amount_minor: i64) -> Fate {
    Fate {
        outcome,
        reason: reason.to_owned(),
        units: line.quantity,
        amount_minor,
    }
}
