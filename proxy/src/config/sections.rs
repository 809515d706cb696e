//! The sections of the configuration, with their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ForwardedHeader, Networks, Secret};

/// The public API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// The deadline of one request, ms.
    pub request_timeout_ms: u64,
    /// How long a client may take to send its body, ms; shorter than `request_timeout_ms`.
    pub body_timeout_ms: u64,
    /// A client that acknowledges nothing of what it is sent for so long is cut off, ms.
    pub send_timeout_ms: u64,
    /// The longest body accepted, bytes.
    pub max_body_bytes: u64,
    /// The longest path and query accepted, bytes.
    pub max_uri_bytes: usize,
    /// The most bytes of all headers together.
    pub max_header_bytes: usize,
    /// How long everything is served on after SIGTERM, for the balancers to take notice, ms.
    pub drain_notice_ms: u64,
    /// How long open requests may go on after that, ms.
    pub drain_timeout_ms: u64,
    /// The most requests worked on at once; further ones get 503 and Retry-After.
    pub max_concurrent_requests: usize,
    /// Development without TLS: cookies without `Secure` and the `__Host-` prefix.
    pub plain_http_cookies: bool,
    /// The balancers that are believed when they say whom they got a request from.
    pub trusted_proxies: Networks,
    /// The one header in which they say it; they must replace or extend what a client sent in it.
    pub forwarded_header: ForwardedHeader,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            request_timeout_ms: 10_000,
            body_timeout_ms: 5_000,
            send_timeout_ms: 30_000,
            max_body_bytes: 1 << 20,
            max_uri_bytes: 8_192,
            max_header_bytes: 16_384,
            drain_notice_ms: 5_000,
            drain_timeout_ms: 10_000,
            max_concurrent_requests: 10_000,
            plain_http_cookies: false,
            trusted_proxies: Networks::default(),
            forwarded_header: ForwardedHeader::default(),
        }
    }
}

/// The admin port: health, for operators and load balancers only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 9080).into(),
        }
    }
}

/// Who may administer. Without a token the admin routes answer 403 to everybody.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The operator's bearer token; better given by file or environment than in TOML.
    pub operator_token: Option<Secret>,
    /// A file whose first line is the token.
    pub operator_token_file: Option<PathBuf>,
    /// The most failed logins to one account in a window.
    pub account_attempts: u32,
    /// The most failed logins from one address in a window.
    pub address_attempts: u32,
    /// The most registrations from one address in a window.
    pub address_registrations: u32,
    /// How long such a window is, ms.
    pub window_ms: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            operator_token: None,
            operator_token_file: None,
            account_attempts: 10,
            address_attempts: 100,
            address_registrations: 100,
            window_ms: 600_000,
        }
    }
}

/// Where events go. The broker may be away: events wait in the outbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port[,host:port…]`.
    pub brokers: String,
    /// The topic of all order events.
    pub topic: String,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            topic: "holdfast.orders".into(),
        }
    }
}

/// The payment provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Payment {
    /// Where its API is.
    pub url: String,
    /// The deadline of one call, ms.
    pub timeout_ms: u64,
    /// Sent as a bearer token; better given by file or environment than in TOML.
    pub api_key: Option<Secret>,
    /// A file whose first line is the API key.
    pub api_key_file: Option<PathBuf>,
    /// What the provider signs its webhooks with, `whsec_` and base64. Several, separated by
    /// white space, while one takes the place of another. Without one no webhook is taken.
    pub webhook_secret: Option<Secret>,
    /// A file with the secrets.
    pub webhook_secret_file: Option<PathBuf>,
    /// After this many failed calls in a row the provider is left alone.
    pub breaker_failures: u32,
    /// For so long, ms; then one call tries whether it answers again.
    pub breaker_open_ms: u64,
    /// An order whose payment takes longer is called off and its payment given back, ms.
    pub patience_ms: u64,
}

impl Default for Payment {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9090".into(),
            timeout_ms: 3_000,
            api_key: None,
            api_key_file: None,
            webhook_secret: None,
            webhook_secret_file: None,
            breaker_failures: 10,
            breaker_open_ms: 5_000,
            patience_ms: 900_000,
        }
    }
}

/// How long what was read of the catalogue is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// In this process, ms: the longest that a change stays unseen, whatever fails.
    pub local_ttl_ms: u64,
    /// In this process, bytes at most.
    pub local_max_bytes: u64,
    /// In Redis, for all proxies, ms.
    pub redis_ttl_ms: u64,
    /// In Redis, that there is no such product, ms.
    pub missing_ttl_ms: u64,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            local_ttl_ms: 5_000,
            local_max_bytes: 64 << 20,
            redis_ttl_ms: 300_000,
            missing_ttl_ms: 10_000,
        }
    }
}

/// How long sessions live.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// A logged-in session ends after this long without a request, ms.
    pub idle_ms: u64,
    /// Any session ends this long after it started, ms.
    pub absolute_ms: u64,
    /// A guest's session ends after this long without a request, ms.
    pub guest_idle_ms: u64,
    /// A guest's session ends after this long when there was no second request, ms: most of those
    /// that robots begin have none.
    pub guest_first_ms: u64,
    /// The most sessions of one user; beyond them the oldest end.
    pub max_per_user: usize,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle_ms: 1_800_000,
            absolute_ms: 86_400_000,
            guest_idle_ms: 900_000,
            guest_first_ms: 120_000,
            max_per_user: 20,
        }
    }
}

/// How long carts live: longer than any session, so that whoever comes back finds theirs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cart {
    /// Since the last change, ms; longer than `session.absolute_ms`.
    pub ttl_ms: u64,
}

impl Default for Cart {
    fn default() -> Self {
        Self {
            ttl_ms: 604_800_000,
        }
    }
}

/// Live stock, told as it changes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// A watcher to whom nothing was told for so long gets a sign of life, ms.
    pub heartbeat_ms: u64,
    /// A stream ends after so long, ms, and its watcher connects again, maybe to another proxy.
    pub lifetime_ms: u64,
    /// The most that watch at once; further ones get 503 and Retry-After.
    pub max_watchers: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            heartbeat_ms: 15_000,
            lifetime_ms: 3_600_000,
            max_watchers: 10_000,
        }
    }
}

/// How long units are held for a buyer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// For an order that is bought in one step, ms: the time until its payment begins, when the
    /// deadline stops. What a crash leaves behind is free again after it.
    pub ttl_ms: u64,
    /// For a hold taken at checkout, at most and by default, ms; an hour is the module's limit.
    pub checkout_ttl_ms: u64,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            ttl_ms: 15_000,
            checkout_ttl_ms: 600_000,
        }
    }
}

/// How orders that arrive together are written as one transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Commit {
    /// The most orders in one transaction.
    pub max_batch: usize,
    /// The most orders that wait for a transaction; a new order beyond them gets 503 and
    /// Retry-After, one that is paid waits.
    pub queue_length: usize,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            max_batch: 512,
            queue_length: 8192,
        }
    }
}

/// What a shopper may do with an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    /// A sold order can be cancelled for so long, ms; 0 for never.
    pub cancel_window_ms: u64,
    /// What becomes of orders while Redis is away.
    pub without_redis: WithoutRedis,
}

/// What becomes of orders while Redis is away, and until its counts have been compared after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutRedis {
    /// They get 503 and Retry-After.
    Refuse,
    /// They are taken, as long as the stock in MySQL suffices.
    Database,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            cancel_window_ms: 86_400_000,
            without_redis: WithoutRedis::Refuse,
        }
    }
}

/// How long requests with an Idempotency-Key are remembered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// The answer to one that led to something is given again for so long, ms.
    pub expiry_ms: u64,
    /// A refusal for want of stock is given again for so long, ms. It changed nothing, and a rush
    /// has many.
    pub refusal_expiry_ms: u64,
}

impl Default for Idempotency {
    fn default() -> Self {
        Self {
            expiry_ms: 86_400_000,
            refusal_expiry_ms: 60_000,
        }
    }
}

impl Idempotency {
    /// [`Idempotency::expiry_ms`].
    pub fn expiry(&self) -> Duration {
        Duration::from_millis(self.expiry_ms)
    }

    /// [`Idempotency::refusal_expiry_ms`].
    pub fn refusal_expiry(&self) -> Duration {
        Duration::from_millis(self.refusal_expiry_ms)
    }
}

/// How sagas that nobody runs any more are found and finished.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// Time between two looks, ms.
    pub interval_ms: u64,
    /// How long a saga belongs to the proxy that runs it without a sign of life, ms.
    pub lease_ms: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            interval_ms: 1_000,
            lease_ms: 5_000,
        }
    }
}

/// How the stock in Redis is compared with MySQL, and put right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconcile {
    /// The time that a walk through all products takes, and so the time between two looks at one
    /// of them, ms. A Redis that has lost everything is filled again at once.
    pub interval_ms: u64,
    /// A PREPARED hold that no order in flight stands for is nobody's after so long, ms; longer
    /// than `recovery.lease_ms`.
    pub orphan_age_ms: u64,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            orphan_age_ms: 15_000,
        }
    }
}

/// What is logged and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` for people, `json` for collectors.
    pub format: LogFormat,
    /// A tracing filter, such as `info` or `holdfast_proxy=debug,sqlx=warn`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

impl Http {
    /// The name of the session cookie. With TLS the browser itself refuses to let another host or
    /// path set it (RFC 6265bis, 4.1.3.2).
    pub fn session_cookie(&self) -> &'static str {
        if self.plain_http_cookies {
            "holdfast_session"
        } else {
            "__Host-holdfast_session"
        }
    }

    /// The deadline of one request.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a client may take to send its body.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}
