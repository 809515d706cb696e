//! Webhooks: every change of a payment is told to the shop, signed as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>), and sent again until it is taken.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use standardwebhooks::Webhook;
use uuid::Uuid;

use super::behaviour::Notices;
use super::ledger::Payment;

/// Whoever does not take a webhook gets it again after these times.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
/// What a forged webhook is signed with: bytes that no secret file holds.
const FORGERS_SECRET: &[u8] = b"nobody has told me the secret";

/// Sends webhooks to one URL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    url: String,
    secret: String,
}

/// One message, as it is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// `webhook-id`, the same for every delivery of the message.
    pub id: String,
    /// The JSON text that is signed.
    pub body: String,
}

impl Sender {
    /// A sender to `url` that signs with `secret`, which is `whsec_` and base64.
    ///
    /// # Errors
    /// When the secret is none.
    pub fn new(url: String, secret: String) -> Result<Sender> {
        ensure!(
            secret.starts_with("whsec_"),
            "the webhook secret must begin with whsec_"
        );
        Webhook::new(&secret).context("the webhook secret is not base64 after whsec_")?;
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Sender {
            client,
            url,
            secret,
        })
    }

    /// Tells of a payment, as well or badly as its card says. Returns when it is taken or given up.
    pub async fn tell(&self, payment: Payment, notices: Notices) {
        let message = Message::about(&payment);
        match notices {
            Notices::Once => self.deliver(&message).await,
            Notices::Repeated => {
                self.deliver(&message).await;
                self.deliver(&message).await;
                self.deliver(&Message::about(&payment)).await;
            }
            Notices::Late(delay) => {
                tokio::time::sleep(delay).await;
                self.deliver(&message).await;
            }
            Notices::Forged => {
                // A forger does not try again.
                let _refused = self
                    .send(&message, &Webhook::from_bytes(FORGERS_SECRET.to_vec()))
                    .await;
            }
        }
    }

    async fn deliver(&self, message: &Message) {
        for pause in PAUSES {
            let sent = self.send(message, &Webhook::new(&self.secret)).await;
            match sent {
                Ok(status) if status.is_success() => return,
                // Not for us, or not as we sign: sending it again would not help.
                Ok(status) if status.is_client_error() => return,
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn send(
        &self,
        message: &Message,
        signer: &Result<Webhook, standardwebhooks::WebhookError>,
    ) -> Result<reqwest::StatusCode> {
        let signer = signer
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let now = i64::try_from(now)?;
        let signature = signer.sign(&message.id, now, message.body.as_bytes())?;
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &message.id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now.to_string())
            .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature)
            .body(message.body.clone());
        Ok(request.send().await?.status())
    }
}

impl Message {
    /// What there is to tell of a payment, under a new id.
    pub fn about(payment: &Payment) -> Message {
        let status = json!(payment.status);
        let body = json!({
            "type": format!("payment.{}", status.as_str().unwrap_or_default()),
            "data": payment,
        });
        Message {
            id: format!("msg_{}", Uuid::new_v4().simple()),
            body: body.to_string(),
        }
    }
}
