//! A provider behind an HTTP API; `payment-sandbox` in tests/ speaks the same.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Error, Payment, Provider, Standing};
use crate::config;

/// The provider at `payment.url`.
pub struct HttpProvider {
    client: Client,
    payments: Url,
}

#[derive(Deserialize)]
struct Document {
    status: String,
    payment_id: Option<String>,
}

impl HttpProvider {
    /// A client of the configured provider; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none, which `config check` would have said.
    pub fn new(config: &config::Payment) -> Result<Self, Error> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let client = Client::builder()
            .timeout(timeout)
            .build()
            .map_err(unclear)?;
        let base: Url = config.url.parse().map_err(unclear)?;
        Ok(Self {
            client,
            payments: base.join("v1/payments").map_err(unclear)?,
        })
    }

    fn url(&self, order_id: Uuid, action: &str) -> String {
        format!("{}/{order_id}{action}", self.payments)
    }

    async fn send_payment(&self, payment: Payment<'_>) -> Result<Standing, Error> {
        let request = self.client.post(self.payments.clone());
        let request = request
            .header("Idempotency-Key", payment.order_id.to_string())
            .json(&json!({
                "order_id": payment.order_id,
                "amount_minor": payment.amount_minor,
                "currency": payment.currency,
                "card": payment.card,
            }));
        let response = request.send().await.map_err(unclear)?;
        match response.status() {
            StatusCode::OK
            | StatusCode::CREATED
            | StatusCode::ACCEPTED
            | StatusCode::PAYMENT_REQUIRED => read(response).await,
            status => Err(Error(format!("answered {status} to a payment"))),
        }
    }

    async fn ask_standing(&self, order_id: Uuid) -> Result<Standing, Error> {
        let response = self
            .client
            .get(self.url(order_id, ""))
            .send()
            .await
            .map_err(unclear)?;
        match response.status() {
            StatusCode::OK => read(response).await,
            StatusCode::NOT_FOUND => Ok(Standing::NeverPaid),
            status => Err(Error(format!("answered {status} to a question"))),
        }
    }

    async fn send_refund(&self, order_id: Uuid) -> Result<(), Error> {
        let response = self
            .client
            .post(self.url(order_id, "/refund"))
            .send()
            .await
            .map_err(unclear)?;
        match response.status() {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            status => Err(Error(format!("answered {status} to a refund"))),
        }
    }
}

impl Provider for HttpProvider {
    fn pay<'a>(&'a self, payment: Payment<'a>) -> BoxFuture<'a, Result<Standing, Error>> {
        self.send_payment(payment).boxed()
    }

    fn standing(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>> {
        self.ask_standing(order_id).boxed()
    }

    fn refund(&self, order_id: Uuid) -> BoxFuture<'_, Result<(), Error>> {
        self.send_refund(order_id).boxed()
    }
}

async fn read(response: Response) -> Result<Standing, Error> {
    let document: Document = response.json().await.map_err(unclear)?;
    match (document.status.as_str(), document.payment_id) {
        ("captured", Some(payment_id)) => Ok(Standing::Captured { payment_id }),
        ("declined", _) => Ok(Standing::Declined),
        ("pending", _) => Ok(Standing::Pending),
        ("refunded", _) => Ok(Standing::Refunded),
        (other, _) => Err(Error(format!("answered with the unknown status '{other}'"))),
    }
}

fn unclear(error: impl std::fmt::Display) -> Error {
    Error(error.to_string())
}
