//! One shopper's whole way through the shop, over HTTP alone, with nothing but a browser's cookie.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::shop::{DECLINED_CARD, Reply, SECOND_TIME_CARD, send};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser as far as the shop can tell: it sends back the cookie that it was given last.
struct Browser {
    client: Client,
    url: String,
    cookie: Mutex<Option<String>>,
}

impl Browser {
    fn at(url: &str) -> Browser {
        Browser {
            client: Client::new(),
            url: url.to_owned(),
            cookie: Mutex::new(None),
        }
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.ask(Method::GET, path, &Value::Null, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.ask(Method::POST, path, body, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(cookie) = self.cookie() {
            request = request.header(COOKIE, cookie);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let reply = send(request).await?;
        if let Some(set) = reply.headers.get(SET_COOKIE) {
            let pair = set.to_str()?.split(';').next().map(str::to_owned);
            *self.cookie.lock().expect("no panic meanwhile") = pair;
        }
        Ok(reply)
    }

    fn cookie(&self) -> Option<String> {
        self.cookie.lock().expect("no panic meanwhile").clone()
    }

    /// The quantities in the cart, by SKU.
    async fn cart(&self) -> Result<Vec<(String, i64)>> {
        let cart = self.get("/v1/cart").await?;
        let lines = cart.body["lines"].as_array().context("no lines")?.iter();
        let mut lines: Vec<_> = lines
            .map(|line| {
                let sku = line["sku"].as_str().unwrap_or_default().to_owned();
                (sku, line["quantity"].as_i64().unwrap_or_default())
            })
            .collect();
        lines.sort();
        Ok(lines)
    }

    /// What can be bought of a product, as its page says.
    async fn available(&self, sku: &str) -> Result<i64> {
        let product = self.get(&format!("/v1/products/{sku}")).await?;
        let available = product.body["available"].as_i64();
        available.with_context(|| format!("{product:?}"))
    }

    async fn wait_until_available(&self, sku: &str, units: i64) -> Result<()> {
        let what = format!("{units} units of {sku}");
        wait::until_async(what, PATIENCE, || async {
            Ok((self.available(sku).await? == units).then_some(()))
        })
        .await
    }
}

fn item(sku: &str, quantity: i64) -> Value {
    json!({ "sku": sku, "quantity": quantity })
}

fn pairs(lines: &[(&str, i64)]) -> Vec<(String, i64)> {
    let owned = |(sku, quantity): &(&str, i64)| (sku.to_string(), *quantity);
    lines.iter().map(owned).collect()
}

#[tokio::test]
async fn a_guest_becomes_a_customer_who_buys_and_gets_the_money_back() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        redis_user: true,
        catalogue: Some(catalogue_of(&["KETTLE", "TEAPOT"])?),
        ..StackOptions::default()
    })?;
    let (laptop, phone) = (
        Browser::at(&stack.proxy.url()),
        Browser::at(&stack.proxy.url()),
    );

    // A guest looks around and puts something into the cart.
    let guest = laptop.post("/v1/sessions", &json!({})).await?;
    assert_eq!(
        (guest.status, &guest.body["roles"]),
        (201, &json!(["guest"]))
    );
    let products = laptop.get("/v1/products").await?;
    assert_eq!(products.body["products"][0]["sku"], "KETTLE");
    assert_eq!(laptop.available("KETTLE").await?, 10);
    let view = json!({ "page": "/kettles", "item": "KETTLE" });
    let touched = laptop.post("/v1/sessions/current/touch", &view).await?;
    assert_eq!(
        (touched.status, &touched.body["page_views"]),
        (200, &json!(1))
    );
    let viewed = laptop.get("/v1/sessions/current/viewed").await?;
    assert_eq!(viewed.body["items"], json!(["KETTLE"]));
    let added = laptop.post("/v1/cart/items", &item("KETTLE", 2)).await?;
    assert_eq!(
        (added.status, &added.body["total_minor"]),
        (200, &json!(2000))
    );

    // The guest registers, and has a cart on the phone already when logging in here.
    let credentials = json!({ "email": "ada@example.com", "password": "correct horse" });
    let registered = laptop.post("/v1/users", &credentials).await?;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(phone.post("/v1/sessions", &credentials).await?.status, 201);
    for line in [item("KETTLE", 1), item("TEAPOT", 1)] {
        assert_eq!(phone.post("/v1/cart/items", &line).await?.status, 200);
    }
    let guests_cookie = laptop.cookie();
    let customer = laptop.post("/v1/sessions", &credentials).await?;
    assert_eq!(
        (customer.status, &customer.body["owner"]),
        (201, &registered.body["user_id"])
    );
    assert_ne!(laptop.cookie(), guests_cookie);
    let merged = pairs(&[("KETTLE", 3), ("TEAPOT", 1)]);
    assert_eq!(laptop.cart().await?, merged);
    assert_eq!(phone.cart().await?, merged);

    // One card is declined, and nothing is sold; the provider fails once at the next, and the order goes through.
    let order = |card: &str| json!({ "cart": true, "payment": { "card": card } });
    let declined = order(DECLINED_CARD);
    let declined = laptop
        .ask(Method::POST, "/v1/orders", &declined, Some("\"first\""))
        .await?;
    assert_eq!(
        (declined.status, declined.problem()),
        (402, "payment-declined")
    );
    assert_eq!(laptop.cart().await?, merged);
    laptop.wait_until_available("KETTLE", 10).await?;
    let (second, key) = (order(SECOND_TIME_CARD), Some("\"second\""));
    let sold = laptop.ask(Method::POST, "/v1/orders", &second, key).await?;
    assert_eq!(
        (sold.status, &sold.body["status"]),
        (201, &json!("CONFIRMED"))
    );
    assert_eq!(sold.body["total_minor"], 4000);
    let repeated = laptop.ask(Method::POST, "/v1/orders", &second, key).await?;
    assert_eq!(repeated.id()?, sold.id()?);
    assert_eq!(repeated.headers["idempotency-replayed"], "true");
    assert_eq!(laptop.available("KETTLE").await?, 7);
    assert_eq!(phone.cart().await?, pairs(&[]));

    // The customer thinks again: the units are for sale again, and the money goes back.
    let path = sold.headers["location"].to_str()?.to_owned();
    let cancelled = laptop.post(&format!("{path}/cancel"), &Value::Null).await?;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    wait::until_async("the refund", PATIENCE, || async {
        let order = laptop.get(&path).await?;
        Ok((order.body["status"] == "REFUNDED").then_some(()))
    })
    .await?;
    laptop.wait_until_available("KETTLE", 10).await?;
    laptop.wait_until_available("TEAPOT", 10).await?;
    let payments = stack.payment.documents().await?;
    let paid = payments
        .iter()
        .find(|payment| payment["order_id"] == sold.body["order_id"])
        .context("the order was never paid for")?;
    assert_eq!(
        (&paid["captures"], &paid["refunds"]),
        (&json!(1), &json!(1))
    );

    // Whoever finds the laptop's old cookie after that is nobody; the phone is still logged in.
    let cookie = laptop.cookie();
    let left = laptop
        .ask(Method::DELETE, "/v1/sessions/current", &Value::Null, None)
        .await?;
    assert_eq!(left.status, 204);
    *laptop.cookie.lock().expect("no panic meanwhile") = cookie;
    let gone = laptop.get("/v1/orders").await?;
    assert_eq!((gone.status, gone.problem()), (401, "no-session"));
    let orders = phone.get("/v1/orders").await?;
    let statuses: Vec<_> = orders.body["orders"]
        .as_array()
        .context("no orders")?
        .iter()
        .map(|order| (&order["order_id"], &order["status"]))
        .collect();
    assert!(statuses.contains(&(&sold.body["order_id"], &json!("REFUNDED"))));
    Ok(())
}
