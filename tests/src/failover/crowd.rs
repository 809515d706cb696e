//! Who asks, and what: sessions, baskets, and the request of each kind.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kind::Kind;
use crate::faults::accounts::Accounts;
use crate::proxy::Proxy;
use crate::shop::{GOOD_CARD, Shop, Shopper, lines};

/// Products of which there is plenty. In a cluster of three nodes with equal parts, two of them are on each node.
pub const PLENTY: [&str; 6] = ["TEAPOT", "MUG", "KETTLE", "SAUCER", "TIN", "TEACUP"];
/// A product of which there is never enough: the third node has it.
pub const SCARCE: &str = "SCARCE";
const PLENTIFUL: i64 = 10_000_000;
/// What is bought together: each thing alone, and several, of one node and of all.
const BASKETS: [&[usize]; 8] = [&[0], &[1], &[2], &[3], &[4], &[5], &[0, 3], &[0, 1, 2]];
/// So many that some are on each node of a cluster.
const SESSIONS: usize = 12;
/// More than are delivered, see [`Kind::Delivery`].
const SCARCE_UNITS: i64 = 2;
/// Longer than a proxy's deadline for Redis, shorter than most people's patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// All who ask.
#[derive(Debug)]
pub struct Crowd {
    visitors: Vec<Visitor>,
    operator_token: String,
    client: Client,
    /// What they were told is sold.
    pub accounts: Accounts,
}

/// A session and an order of its past.
#[derive(Debug)]
struct Visitor {
    shopper: Shopper,
    order: String,
}

/// One request, which may be sent again to any proxy.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    crowd: &'a Crowd,
    visitor: Option<&'a Visitor>,
    method: Method,
    path: String,
    body: Value,
    key: Option<String>,
    /// Which thing it is about, see [`super::timeline::Outcome::subject`].
    pub subject: usize,
}

impl Crowd {
    /// Sessions at this proxy, each with an order, and stock for what they are going to buy; they go on by `client`.
    /// Acknowledged orders are appended to `acknowledged`.
    pub async fn enter(proxy: &Proxy, client: Client, acknowledged: &Path) -> Result<Crowd> {
        let shop = Shop::of(proxy);
        for sku in PLENTY {
            shop.set_stock(sku, PLENTIFUL).await?;
        }
        let mut visitors = Vec::with_capacity(SESSIONS);
        for _ in 0..SESSIONS {
            let shopper = shop.guest().await?;
            let bought = shopper.buy(PLENTY[0], 1, GOOD_CARD).await?;
            ensure!(bought.status == 201, "nothing can be bought: {bought:?}");
            let order = bought.id()?.to_owned();
            visitors.push(Visitor { shopper, order });
        }
        Ok(Crowd {
            visitors,
            operator_token: proxy.operator_token().to_owned(),
            client,
            accounts: Accounts::open(acknowledged)?,
        })
    }

    /// The request of this kind and number.
    pub fn request(&self, kind: Kind, number: usize) -> Request<'_> {
        let visitor = number % self.visitors.len();
        let of_session =
            |method: Method, path: &str, body| (visitor, method, path.to_owned(), body, false);
        let product = number % PLENTY.len();
        let basket = number % BASKETS.len();
        let (subject, method, path, body, has_key) = match kind {
            Kind::Touch => {
                let body = json!({ "item": PLENTY[product] });
                of_session(Method::POST, "/v1/sessions/current/touch", body)
            }
            Kind::Product => {
                let path = format!("/v1/products/{}", PLENTY[product]);
                (product, Method::GET, path, Value::Null, false)
            }
            Kind::OldOrder => {
                let path = format!("/v1/orders/{}", self.visitors[visitor].order);
                of_session(Method::GET, &path, Value::Null)
            }
            Kind::Cart => {
                let path = format!("/v1/cart/items/{}", PLENTY[product]);
                of_session(Method::PUT, &path, json!({ "quantity": 1 + number % 9 }))
            }
            Kind::Hold => {
                let items = lines(&[(PLENTY[product], 1)]);
                let body = json!({ "items": items, "ttl_ms": 5_000 });
                (product, Method::POST, "/v1/holds".to_owned(), body, true)
            }
            Kind::Order => {
                let items: Vec<(&str, i64)> = BASKETS[basket]
                    .iter()
                    .map(|place| (PLENTY[*place], 1))
                    .collect();
                (
                    basket,
                    Method::POST,
                    "/v1/orders".to_owned(),
                    order_of(&items),
                    true,
                )
            }
            Kind::LastUnits => {
                let body = order_of(&[(SCARCE, SCARCE_UNITS)]);
                (0, Method::POST, "/v1/orders".to_owned(), body, true)
            }
            Kind::Delivery => {
                let id = Uuid::new_v4().to_string();
                let body = json!({ "adjustment_id": id, "delta": 1, "reason": "restocked" });
                (
                    0,
                    Method::POST,
                    format!("/v1/stock/{SCARCE}/adjustments"),
                    body,
                    false,
                )
            }
        };
        Request {
            crowd: self,
            visitor: (kind != Kind::Delivery).then(|| &self.visitors[visitor]),
            method,
            path,
            body,
            key: has_key.then(|| Uuid::new_v4().to_string()),
            subject,
        }
    }
}

fn order_of(items: &[(&str, i64)]) -> Value {
    json!({ "items": lines(items), "payment": { "card": GOOD_CARD } })
}

impl Request<'_> {
    /// Ready to be sent to the proxy of this URL.
    pub fn to(&self, url: &str) -> RequestBuilder {
        let Crowd {
            client,
            operator_token,
            ..
        } = self.crowd;
        let token = self.visitor.map(|visitor| visitor.shopper.token());
        let request = client
            .request(self.method.clone(), format!("{url}{}", self.path))
            .bearer_auth(token.unwrap_or(operator_token));
        let request = match &self.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = match &self.body {
            Value::Null => request,
            body => request.json(body),
        };
        request.timeout(ANSWER_WITHIN)
    }

    /// The same visitor's look at an order.
    pub fn look_at(&self, order: &str) -> Self {
        Request {
            method: Method::GET,
            path: format!("/v1/orders/{order}"),
            body: Value::Null,
            key: None,
            ..self.clone()
        }
    }
}
