//! A client of the shop's HTTP API: the operator, and shoppers with a session each.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::proxy::Proxy;

/// The sandbox's card that always pays.
pub const GOOD_CARD: &str = "4242424242424242";

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
        let request = self
            .client
            .post(format!("{}/v1/sessions", self.url))
            .json(&json!({}));
        let reply = send(request).await?;
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
        let body = json!({
            "items": [{ "sku": sku, "quantity": quantity }],
            "payment": { "card": card },
        });
        self.call(Method::POST, "/v1/orders", &body).await
    }

    /// A request with this shopper's session, to be completed and sent by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }
}

impl Reply {
    /// Whether the status is one of the 200s.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Result<Reply> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await?;
    Ok(Reply {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}
