//! A client of the shop's HTTP API: the operator, and shoppers with a session each.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::proxy::Proxy;

/// The sandbox's card that always pays.
pub const GOOD_CARD: &str = "4242424242424242";
/// Declined.
pub const DECLINED_CARD: &str = "4000000000000002";
/// The provider answers 500 every time and takes nothing.
pub const FAILING_CARD: &str = "4000000000000119";
/// Pays at the second attempt; the first is answered 500.
pub const SECOND_TIME_CARD: &str = "4000000000000374";
/// Pays, and the answer is lost.
pub const LOST_REPLY_CARD: &str = "4000000000000259";
/// Pays after 2 s.
pub const SLOW_CARD: &str = "4000000000000341";
/// Pays after 30 s, when the proxy has long stopped waiting.
pub const VERY_SLOW_CARD: &str = "4000000000000366";

/// The shop as its operator sees it.
#[derive(Debug, Clone)]
pub struct Shop {
    client: Client,
    url: String,
    operator_token: String,
}

/// Somebody with a session.
#[derive(Debug, Clone)]
pub struct Shopper {
    client: Client,
    url: String,
    token: String,
    session: Value,
}

/// What the shop answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body: `null` when it is empty or no JSON.
    pub body: Value,
}

impl Shop {
    /// The shop that this proxy serves.
    pub fn of(proxy: &Proxy) -> Shop {
        Shop::at(&proxy.url(), proxy.operator_token())
    }

    /// The shop at this URL, with its operator's token.
    pub fn at(url: &str, operator_token: &str) -> Shop {
        Shop {
            client: Client::new(),
            url: url.to_owned(),
            operator_token: operator_token.to_owned(),
        }
    }

    /// Sets how many units there are.
    pub async fn set_stock(&self, sku: &str, on_hand: i64) -> Result<()> {
        let request = self
            .client
            .put(format!("{}/v1/stock/{sku}", self.url))
            .bearer_auth(&self.operator_token)
            .json(&json!({ "on_hand": on_hand }));
        let reply = send(request).await?;
        ensure!(
            reply.is_success(),
            "the stock of {sku} cannot be set: {reply:?}"
        );
        Ok(())
    }

    /// The stock of a SKU as Redis has it.
    pub async fn stock(&self, sku: &str) -> Result<Value> {
        let reply = send(self.client.get(format!("{}/v1/stock/{sku}", self.url))).await?;
        ensure!(
            reply.is_success(),
            "the stock of {sku} cannot be read: {reply:?}"
        );
        Ok(reply.body)
    }

    /// A call as the operator.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Reply> {
        let request = self.client.request(method, format!("{}{path}", self.url));
        send(request.bearer_auth(&self.operator_token).json(body)).await
    }

    /// A guest who starts a session.
    pub async fn guest(&self) -> Result<Shopper> {
        self.start_session(&json!({})).await
    }

    /// Registers a user of this address, who has yet to log in.
    pub async fn register(&self, email: &str) -> Result<()> {
        let request = self.client.post(format!("{}/v1/users", self.url));
        let reply = send(request.json(&credentials(email))).await?;
        ensure!(reply.status == 201, "{email} cannot register: {reply:?}");
        Ok(())
    }

    /// A registered user who logs in.
    pub async fn log_in(&self, email: &str) -> Result<Shopper> {
        self.start_session(&credentials(email)).await
    }

    async fn start_session(&self, form: &Value) -> Result<Shopper> {
        let request = self.client.post(format!("{}/v1/sessions", self.url));
        let reply = send(request.json(form)).await?;
        ensure!(reply.status == 201, "no session can be started: {reply:?}");
        let token = reply.body["token"]
            .as_str()
            .context("the session has no token")?
            .to_owned();
        Ok(Shopper {
            client: self.client.clone(),
            url: self.url.clone(),
            token,
            session: reply.body,
        })
    }
}

impl Shopper {
    /// The session's id, which is the part of the token that is no secret.
    pub fn session_id(&self) -> &str {
        self.token.split('.').next().unwrap_or_default()
    }

    /// What the shop said of the session when it started.
    pub fn session(&self) -> &Value {
        &self.session
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        send(self.request(Method::GET, path)).await
    }

    /// A call with a JSON body.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Reply> {
        send(self.request(method, path).json(body)).await
    }

    /// Orders so many units of one product and pays with `card`.
    pub async fn buy(&self, sku: &str, quantity: i64, card: &str) -> Result<Reply> {
        self.order(&[(sku, quantity)], card, None).await
    }

    /// Orders so many units of each product and pays with `card`; with a `key`, under that Idempotency-Key.
    pub async fn order(
        &self,
        items: &[(&str, i64)],
        card: &str,
        key: Option<&str>,
    ) -> Result<Reply> {
        let request = self.request(Method::POST, "/v1/orders");
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let body = json!({ "items": lines(items), "payment": { "card": card } });
        send(request.json(&body)).await
    }

    /// This shopper's orders, newest first.
    pub async fn orders(&self) -> Result<Vec<Value>> {
        let reply = self.get("/v1/orders?limit=100").await?;
        let orders = reply.body["orders"].as_array();
        Ok(orders
            .with_context(|| format!("no list: {reply:?}"))?
            .clone())
    }

    /// The same session at another proxy.
    pub fn at(&self, proxy: &Proxy) -> Shopper {
        self.at_url(&proxy.url())
    }

    /// The same session at the proxy of this URL.
    pub fn at_url(&self, url: &str) -> Shopper {
        Shopper {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// The same shopper with another token.
    pub fn with_token(&self, token: &str) -> Shopper {
        Shopper {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// The session's token, for a request that is written by hand.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request with this shopper's session, to be completed and sent by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }
}

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": "correct horse" })
}

/// Items as the API takes them.
pub fn lines(items: &[(&str, i64)]) -> Value {
    let item = |(sku, quantity): &(&str, i64)| json!({ "sku": sku, "quantity": quantity });
    items.iter().map(item).collect()
}

impl Reply {
    /// The order or the hold that the reply is about.
    pub fn id(&self) -> Result<&str> {
        let id = [&self.body["order_id"], &self.body["hold_id"]];
        let found = id.into_iter().find_map(Value::as_str);
        found.with_context(|| format!("no id in {self:?}"))
    }

    /// The kind of problem, such as `out-of-stock`; empty when there is none.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.trim_start_matches("/problems/")
    }

    /// Whether the status is one of the 200s.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Result<Reply> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let bytes = response.bytes().await?;
    Ok(Reply {
        status,
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}
