//! The payment sandbox as a process of its own.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::data::{self, Home};
use crate::probe;
use crate::process::Launch;
use crate::server::Server;

/// A running payment sandbox.
#[derive(Debug)]
pub struct Payment {
    server: Server,
    port: u16,
}

impl Payment {
    /// Starts it in `home` (a fresh test folder when absent) and waits until it answers.
    pub fn start(home: Option<&Home>) -> Result<Payment> {
        let server = Server::new("the payment sandbox", Home::or_for_test(home, "payment")?);
        let port = server.home().port("payment", server.is_running())?;
        let payment = Payment { server, port };
        payment.start_again()?;
        Ok(payment)
    }

    /// Where its API is, such as `http://127.0.0.1:20001`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How each order's payment stands: `pending`, `captured`, `declined` or `refunded`. An order is charged once at
    /// most; one that is not here was never charged.
    pub async fn all(&self) -> Result<BTreeMap<String, String>> {
        let url = format!("{}/v1/payments", self.url());
        let body: Value = reqwest::get(url).await?.json().await?;
        let payments = body["payments"].as_array().context("a list of payments")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let payments = payments.iter();
        Ok(payments
            .map(|payment| (text(&payment["order_id"]), text(&payment["status"])))
            .collect())
    }

    /// The server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Starts it on the same port if it does not run, and waits until it answers. It forgets its payments when it
    /// stops.
    pub fn start_again(&self) -> Result<()> {
        self.server.ensure(
            || {
                Ok(Launch::new(data::built("payment-sandbox")?)
                    .args(["--listen", &format!("127.0.0.1:{}", self.port)])
                    .arg("--log")
                    .arg(self.server.home().path("requests.log")))
            },
            || probe::http_status(self.port, "/v1/payments") == Some(200),
        )
    }
}
