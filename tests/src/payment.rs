//! The payment sandbox as a process of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::data::{self, Home};
use crate::probe;
use crate::process::Launch;
use crate::server::Server;

const API_KEY: &str = "api-key";
const WEBHOOK_SECRET: &str = "webhook-secret";
/// What the running sandbox was started with.
const ARGUMENTS: &str = "arguments";

/// How the sandbox is started.
#[derive(Debug, Clone, Default)]
pub struct PaymentOptions {
    /// Where it lives; a fresh test folder when absent.
    pub home: Option<Home>,
    /// Whether callers must send the API key.
    pub asks_for_key: bool,
    /// Where it tells of changed payments, such as `http://127.0.0.1:8080/v1/webhooks/payment`.
    pub webhook_url: Option<String>,
}

/// A running payment sandbox.
#[derive(Debug)]
pub struct Payment {
    server: Server,
    port: u16,
    api_key: String,
    webhook_secret: String,
    arguments: Vec<String>,
}

impl Payment {
    /// Starts it and waits until it answers. One that runs with other arguments is started anew.
    pub fn start(options: PaymentOptions) -> Result<Payment> {
        let home = Home::or_for_test(options.home.as_ref(), "payment")?;
        let server = Server::new("the payment sandbox", home.clone());
        let port = home.port("payment", server.is_running())?;
        let api_key = home.secret(API_KEY)?;
        // 32 hexadecimal digits are the base64 of 24 bytes, which is long enough.
        let webhook_secret = format!("whsec_{}", home.secret("webhook-key")?);
        home.write_private(WEBHOOK_SECRET, &webhook_secret)?;
        let file = |name: &str| home.path(name).to_string_lossy().into_owned();
        let mut arguments = vec!["--listen".to_owned(), format!("127.0.0.1:{port}")];
        arguments.extend(["--log".to_owned(), file("requests.log")]);
        if options.asks_for_key {
            arguments.extend(["--api-key-file".to_owned(), file(API_KEY)]);
        }
        if let Some(url) = options.webhook_url {
            arguments.extend(["--webhook-url".to_owned(), url]);
            arguments.extend(["--webhook-secret-file".to_owned(), file(WEBHOOK_SECRET)]);
        }
        let noted = arguments.join("\n");
        let unchanged = std::fs::read_to_string(home.path(ARGUMENTS)).is_ok_and(|old| old == noted);
        home.write_private(ARGUMENTS, &noted)?;
        if !unchanged && server.is_running() {
            server.stop()?;
        }
        let payment = Payment {
            server,
            port,
            api_key,
            webhook_secret,
            arguments,
        };
        payment.start_again()?;
        Ok(payment)
    }

    /// What callers send as a bearer token, in a file.
    pub fn api_key_file(&self) -> PathBuf {
        self.server.home().path(API_KEY)
    }

    /// What webhooks are signed with, in a file.
    pub fn webhook_secret_file(&self) -> PathBuf {
        self.server.home().path(WEBHOOK_SECRET)
    }

    /// What webhooks are signed with.
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// Where its API is, such as `http://127.0.0.1:20001`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How each order's payment stands: `pending`, `authorised`, `captured`, `declined`, `voided` or `refunded`. An order
    /// is charged once at most; one that is not here was never charged.
    pub async fn all(&self) -> Result<BTreeMap<String, String>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let payments = self.documents().await?.into_iter();
        Ok(payments
            .map(|payment| (text(&payment["order_id"]), text(&payment["status"])))
            .collect())
    }

    /// Every payment as the sandbox shows it, with how often its money was taken and given back.
    pub async fn documents(&self) -> Result<Vec<Value>> {
        let url = format!("{}/v1/payments", self.url());
        let mut body: Value = reqwest::get(url).await?.json().await?;
        match body["payments"].take() {
            Value::Array(payments) => Ok(payments),
            other => bail!("no list of payments: {other}"),
        }
    }

    /// Calls an operation on an order's payment as the shop would, such as `refund`.
    pub async fn operate(&self, order: &str, operation: &str) -> Result<reqwest::Response> {
        let url = format!("{}/v1/payments/{order}/{operation}", self.url());
        let request = reqwest::Client::new().post(url).bearer_auth(&self.api_key);
        Ok(request.send().await?)
    }

    /// The server itself: its folder, its pid, and to stop, kill or signal it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Starts it on the same port if it does not run, and waits until it answers. It forgets its payments when it
    /// stops.
    pub fn start_again(&self) -> Result<()> {
        self.server.ensure(
            || Ok(Launch::new(data::built("payment-sandbox")?).args(&self.arguments)),
            || probe::http_status(self.port, "/v1/payments") == Some(200),
        )
    }
}
