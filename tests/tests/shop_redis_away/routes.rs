//! The routes of the table, and who asks them.

use anyhow::{Context, Result};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{GOOD_CARD, Shop, Shopper};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who asks: one shopper of one proxy.
pub struct Visitor {
    /// Whose session it is.
    pub shopper: Shopper,
    /// The same shopper as an API client.
    client: Shopper,
    /// Somebody without a session, who gets one each time.
    newcomer: Shopper,
    /// Whether the proxy takes orders without Redis.
    pub sells_without: bool,
}

/// How a route is asked.
pub type Ask = fn(&Visitor) -> RequestBuilder;

/// Each route, what asks it, what it answers while the shop is open, and what without Redis.
pub const ROUTES: [(&str, Ask, u16, u16); 12] = [
    ("GET /v1/products", |by| by.get("/v1/products"), 200, 200),
    (
        "GET /v1/products/{sku}",
        |by| by.get("/v1/products/SEEN"),
        200,
        200,
    ),
    (
        "GET /v1/stock/{sku}",
        |by| by.get("/v1/stock/SEEN"),
        200,
        503,
    ),
    (
        "POST /v1/sessions, a guest",
        |by| {
            by.newcomer
                .request(Method::POST, "/v1/sessions")
                .json(&json!({}))
        },
        201,
        503,
    ),
    (
        "GET /v1/sessions/current",
        |by| by.get("/v1/sessions/current"),
        200,
        200,
    ),
    (
        "POST /v1/sessions/current/touch",
        |by| by.post("/v1/sessions/current/touch", &json!({ "item": "SEEN" })),
        200,
        200,
    ),
    ("GET /v1/cart", |by| by.get("/v1/cart"), 200, 503),
    (
        "PUT /v1/cart/items/{sku}",
        |by| {
            by.shopper
                .request(Method::PUT, "/v1/cart/items/SEEN")
                .json(&json!({ "quantity": 2 }))
        },
        200,
        503,
    ),
    (
        "GET /v1/orders",
        |by| by.get("/v1/orders?limit=5"),
        200,
        200,
    ),
    (
        "GET /v1/orders, by access token",
        |by| by.client.request(Method::GET, "/v1/orders?limit=5"),
        200,
        200,
    ),
    (
        "POST /v1/holds",
        |by| {
            let items = json!([{ "sku": "MANY", "quantity": 1 }]);
            by.post("/v1/holds", &json!({ "items": items, "ttl_ms": 1_000 }))
        },
        201,
        503,
    ),
    (ORDER, |by| by.order(), 201, 503),
];
/// The route that each mode answers in its own way.
pub const ORDER: &str = "POST /v1/orders";

impl Visitor {
    /// Registers at a proxy and logs in.
    pub async fn come(proxy: &Proxy, email: &str, sells_without: bool) -> Result<Visitor> {
        let shop = Shop::of(proxy);
        shop.register(email).await?;
        let shopper = shop.log_in(email).await?;
        let issued = shopper
            .call(Method::POST, "/v1/sessions/current/tokens", &json!({}))
            .await?;
        let token = issued.body["access_token"].as_str();
        let client = shopper.with_token(token.with_context(|| format!("{issued:?}"))?);
        let newcomer = shopper.with_token("");
        Ok(Visitor {
            shopper,
            client,
            newcomer,
            sells_without,
        })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.shopper.request(Method::GET, path)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.shopper.request(Method::POST, path).json(body)
    }

    fn order(&self) -> RequestBuilder {
        let items = json!([{ "sku": "MANY", "quantity": 1 }]);
        let body = json!({ "items": items, "payment": { "card": GOOD_CARD } });
        self.post("/v1/orders", &body)
            .header("Idempotency-Key", Uuid::now_v7().to_string())
    }
}
