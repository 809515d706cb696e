//! A provider behind an HTTP API, which docs/payment.md describes; `payment-sandbox` in tests/
//! speaks the same.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use prometheus_client::metrics::gauge::Gauge;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::provider::is_payment_id;
use super::{Error, Payment, Provider, Standing};
use crate::breaker::{Breaker, Limits, Outcome};
use crate::config::{self, Secret};

/// The provider at `payment.url`.
pub struct HttpProvider {
    client: Client,
    payments: Url,
    api_key: Option<Secret>,
    breaker: Breaker,
}

/// A payment as the provider shows it.
#[derive(Deserialize)]
struct Document {
    status: String,
    payment_id: Option<String>,
}

impl HttpProvider {
    /// A client of the configured provider; nothing is sent yet. `breaker_open` shows whether it is
    /// being left alone.
    ///
    /// # Errors
    /// When the URL is none, which `config check` would have said.
    pub fn new(config: &config::Payment, breaker_open: Gauge) -> anyhow::Result<Self> {
        let timeout = Duration::from_millis(config.timeout_ms);
        let base: Url = config.url.parse()?;
        let limits = Limits {
            failures: config.breaker_failures,
            open_for: Duration::from_millis(config.breaker_open_ms),
        };
        Ok(Self {
            client: Client::builder().timeout(timeout).build()?,
            payments: base.join("v1/payments")?,
            api_key: config.api_key.clone(),
            breaker: Breaker::new("the payment provider", limits, breaker_open),
        })
    }

    /// One of the operations on an order's payment, with its own idempotency key.
    fn operation(&self, order_id: Uuid, operation: &str) -> RequestBuilder {
        self.order_request(Method::POST, order_id, &format!("/{operation}"))
            .header("Idempotency-Key", format!("{order_id}:{operation}"))
    }

    fn order_request(&self, method: Method, order_id: Uuid, rest: &str) -> RequestBuilder {
        let url = format!("{}/{order_id}{rest}", self.payments);
        self.client.request(method, url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Standing, Error> {
        if !self.breaker.admits() {
            let cause = "it has failed again and again, and is left alone for a while";
            return Err(Error::NotSent(cause.into()));
        }
        let request = match &self.api_key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        };
        let answer = match request.send().await {
            Ok(response) => read(response).await,
            // Before a connection stood, nothing can have been sent over it.
            Err(error) if error.is_connect() => Err(Error::NotSent(whole(&error))),
            Err(error) => Err(Error::Unclear(whole(&error))),
        };
        let outcome = match &answer {
            Ok(_) | Err(Error::Refused(_)) => Outcome::Answered,
            Err(Error::NotSent(_) | Error::Unclear(_)) => Outcome::Failed,
        };
        self.breaker.note(outcome);
        answer
    }
}

impl Provider for HttpProvider {
    fn authorise<'a>(&'a self, payment: Payment<'a>) -> BoxFuture<'a, Result<Standing, Error>> {
        let key = format!("{}:authorise", payment.order_id);
        let request = self.client.post(self.payments.clone());
        let request = request.header("Idempotency-Key", key).json(&json!({
            "order_id": payment.order_id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "card": payment.card,
            "capture": false,
        }));
        self.send(request).boxed()
    }

    fn capture(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>> {
        self.send(self.operation(order_id, "capture")).boxed()
    }

    fn refund(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>> {
        let refunding = self.send(self.operation(order_id, "refund"));
        let refunded = refunding.map(|answer| match answer {
            // Of a declined payment nothing was taken, and a later one is declined as well.
            Ok(Standing::Declined) => Ok(Standing::NeverPaid),
            Ok(Standing::Authorised { .. } | Standing::Captured { .. }) => {
                let cause = "it kept the money that it was to give back";
                Err(Error::Unclear(cause.into()))
            }
            other => other,
        });
        refunded.boxed()
    }

    fn is_left_alone(&self) -> bool {
        !self.breaker.would_admit()
    }

    fn standing(&self, order_id: Uuid) -> BoxFuture<'_, Result<Standing, Error>> {
        self.send(self.order_request(Method::GET, order_id, ""))
            .boxed()
    }
}

async fn read(response: Response) -> Result<Standing, Error> {
    let answered = answered(&response);
    match response.status() {
        StatusCode::OK
        | StatusCode::CREATED
        | StatusCode::ACCEPTED
        | StatusCode::PAYMENT_REQUIRED
        | StatusCode::CONFLICT => {
            let document: Result<Document, _> = response.json().await;
            document
                .map_err(|error| Error::Unclear(whole(&error)))?
                .standing()
        }
        // Only the provider's own 404 says something of a payment; any other is a wrong URL.
        StatusCode::NOT_FOUND => match response.json::<Document>().await {
            Ok(document) => document.standing(),
            Err(_) => Err(Error::NotSent(format!("{answered}; see payment.url"))),
        },
        // Our credentials or our pace, not the payment: an operator or time mends it.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Err(Error::NotSent(answered))
        }
        StatusCode::REQUEST_TIMEOUT => Err(Error::Unclear(answered)),
        status if status.is_client_error() => Err(Error::Refused(answered)),
        _ => Err(Error::Unclear(answered)),
    }
}

fn answered(response: &Response) -> String {
    format!("it answered {}", response.status())
}

/// The error with its causes: reqwest's own text leaves them out.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Document {
    fn standing(self) -> Result<Standing, Error> {
        match (self.status.as_str(), self.payment_id) {
            // Found out at the commit, it would keep a paid order from being sold and from being undone.
            ("authorised" | "captured", Some(payment_id)) if !is_payment_id(&payment_id) => {
                let cause = "its payment_id is too long or not ASCII, and cannot be kept";
                Err(Error::Unclear(cause.into()))
            }
            ("authorised", Some(payment_id)) => Ok(Standing::Authorised { payment_id }),
            ("captured", Some(payment_id)) => Ok(Standing::Captured { payment_id }),
            ("declined", _) => Ok(Standing::Declined),
            ("pending", _) => Ok(Standing::Pending),
            ("refunded", _) => Ok(Standing::Refunded),
            ("voided" | "unknown", _) => Ok(Standing::NeverPaid),
            (other, _) => {
                let cause = format!("it answered with the status '{other}'");
                Err(Error::Unclear(cause))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(status: &str, payment_id: &str) -> Result<Standing, Error> {
        let document = Document {
            status: status.into(),
            payment_id: Some(payment_id.into()),
        };
        document.standing()
    }

    #[test]
    fn a_payment_whose_name_the_orders_row_cannot_keep_is_unclear() {
        let longest = "x".repeat(64);
        let kept = standing("captured", &longest);
        assert!(matches!(kept, Ok(Standing::Captured { .. })), "{kept:?}");
        for name in [&format!("{longest}x"), "zahlung-ü"] {
            for status in ["authorised", "captured"] {
                let unclear = standing(status, name);
                assert!(matches!(unclear, Err(Error::Unclear(_))), "{unclear:?}");
            }
            // Given back, it needs no name any more.
            assert_eq!(standing("refunded", name).ok(), Some(Standing::Refunded));
        }
    }
}
