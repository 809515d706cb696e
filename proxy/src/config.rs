//! The configuration of the proxy: one struct a concern, read from a TOML file and the
//! environment (`HOLDFAST_<SECTION>__<KEY>`), and checked whole before a port is bound.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Why a configuration cannot be used. The text names the setting and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or a variable cannot be read as the setting it stands for.
    #[error("{0}")]
    Unreadable(#[from] config::ConfigError),
    /// A value is readable but makes no sense.
    #[error("{setting}: {problem}")]
    Invalid {
        /// The setting, as `section.key`.
        setting: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

/// Everything the proxy can be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The public API.
    pub http: Http,
    /// The admin port.
    pub admin: Admin,
    /// Who may administer.
    pub auth: Auth,
    /// The gate.
    pub redis: Redis,
    /// The truth.
    pub mysql: Mysql,
    /// Where events go.
    pub kafka: Kafka,
    /// The payment provider.
    pub payment: Payment,
    /// How long sessions live.
    pub session: Session,
    /// How long carts live.
    pub cart: Cart,
    /// How long units are held.
    pub holds: Holds,
    /// How sagas that nobody runs any more are found.
    pub recovery: Recovery,
    /// What is logged and how.
    pub log: Log,
}

/// The public API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// The deadline of one request, ms.
    pub request_timeout_ms: u64,
    /// The longest body accepted, bytes.
    pub max_body_bytes: u64,
    /// How long open requests may go on after SIGTERM, ms.
    pub drain_timeout_ms: u64,
    /// The most requests worked on at once; further ones get 503 and Retry-After.
    pub max_concurrent_requests: usize,
    /// Development without TLS: cookies without `Secure` and the `__Host-` prefix.
    pub plain_http_cookies: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            request_timeout_ms: 10_000,
            max_body_bytes: 1 << 20,
            drain_timeout_ms: 10_000,
            max_concurrent_requests: 10_000,
            plain_http_cookies: false,
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The operator's bearer token; better given by file or environment than in TOML.
    pub operator_token: Option<Secret>,
    /// A file whose first line is the token.
    pub operator_token_file: Option<PathBuf>,
}

/// The gate: a Redis or Valkey server with the Holdfast module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// `redis://[user:password@]host:port[/db]`.
    pub url: Secret,
    /// The deadline of one call, ms.
    pub timeout_ms: u64,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: Secret("redis://127.0.0.1:6379".into()),
            timeout_ms: 500,
        }
    }
}

/// The truth: MySQL 8+ or MariaDB 10.6+.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mysql {
    /// `mysql://user:password@host:port/database`.
    pub url: Secret,
    /// The most connections open at once, at most 300.
    pub max_connections: u32,
    /// How long a request may wait for a connection, ms.
    pub acquire_timeout_ms: u64,
}

impl Default for Mysql {
    fn default() -> Self {
        Self {
            url: Secret("mysql://holdfast@127.0.0.1:3306/holdfast".into()),
            max_connections: 32,
            acquire_timeout_ms: 3_000,
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
}

impl Default for Payment {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9090".into(),
            timeout_ms: 3_000,
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
}

impl Default for Session {
    fn default() -> Self {
        Self {
            idle_ms: 1_800_000,
            absolute_ms: 86_400_000,
            guest_idle_ms: 900_000,
        }
    }
}

/// How long carts live.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cart {
    /// Since the last change, ms.
    pub ttl_ms: u64,
}

impl Default for Cart {
    fn default() -> Self {
        Self { ttl_ms: 86_400_000 }
    }
}

/// How long units are held for a buyer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holds {
    /// For an order that is bought in one step, ms.
    pub ttl_ms: u64,
    /// For a hold taken at checkout, at most and by default, ms.
    pub checkout_ttl_ms: u64,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            ttl_ms: 120_000,
            checkout_ttl_ms: 600_000,
        }
    }
}

/// How sagas that nobody runs any more are found and finished.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// Time between two looks, ms.
    pub interval_ms: u64,
    /// How long a saga belongs to the proxy that runs it, ms.
    pub lease_ms: u64,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            interval_ms: 2_000,
            lease_ms: 10_000,
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

/// A value that may hold a credential: it never shows itself in a log.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

impl Config {
    /// Reads `file` (if given) and the environment over it, and checks the result.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let mut sources = config::Config::builder();
        if let Some(file) = file {
            sources = sources.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("HOLDFAST")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            // Variables of the launcher (HOLDFAST_CONFIG, HOLDFAST_REDIS_URL …) name no section.
            .source(Some(
                std::env::vars()
                    .filter(|(name, _)| name.contains("__"))
                    .collect(),
            ));
        let mut config: Self = sources.add_source(environment).build()?.try_deserialize()?;
        config.auth.read_token_file()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let positive: [(&'static str, u64); 13] = [
            ("http.request_timeout_ms", self.http.request_timeout_ms),
            ("http.max_body_bytes", self.http.max_body_bytes),
            ("redis.timeout_ms", self.redis.timeout_ms),
            ("mysql.acquire_timeout_ms", self.mysql.acquire_timeout_ms),
            ("payment.timeout_ms", self.payment.timeout_ms),
            ("session.idle_ms", self.session.idle_ms),
            ("session.absolute_ms", self.session.absolute_ms),
            ("session.guest_idle_ms", self.session.guest_idle_ms),
            ("cart.ttl_ms", self.cart.ttl_ms),
            ("holds.ttl_ms", self.holds.ttl_ms),
            ("holds.checkout_ttl_ms", self.holds.checkout_ttl_ms),
            ("recovery.interval_ms", self.recovery.interval_ms),
            ("recovery.lease_ms", self.recovery.lease_ms),
        ];
        for (setting, value) in positive {
            ensure(value > 0, setting, "must be at least 1")?;
        }
        ensure(
            self.http.max_concurrent_requests > 0,
            "http.max_concurrent_requests",
            "must be at least 1",
        )?;
        ensure(
            (1..=300).contains(&self.mysql.max_connections),
            "mysql.max_connections",
            "must be from 1 to 300",
        )?;
        ensure(
            self.session.idle_ms <= self.session.absolute_ms,
            "session.idle_ms",
            "must not be longer than session.absolute_ms",
        )?;
        ensure(
            self.http.listen.port() == 0 || self.http.listen != self.admin.listen,
            "admin.listen",
            "must not be the address of http.listen",
        )?;
        ensure(
            !self.kafka.brokers.is_empty(),
            "kafka.brokers",
            "must name at least one host:port",
        )?;
        ensure(
            !self.kafka.topic.is_empty(),
            "kafka.topic",
            "must not be empty",
        )?;
        check_with("redis.url", redis::Client::open(self.redis.url.expose()))?;
        check_with(
            "mysql.url",
            self.mysql
                .url
                .expose()
                .parse::<sqlx::mysql::MySqlConnectOptions>(),
        )?;
        check_with("payment.url", self.payment.url.parse::<reqwest::Url>())?;
        check_with(
            "log.filter",
            self.log.filter.parse::<tracing_subscriber::EnvFilter>(),
        )?;
        Ok(())
    }
}

impl Auth {
    fn read_token_file(&mut self) -> Result<(), Error> {
        const SETTING: &str = "auth.operator_token_file";
        if let (None, Some(path)) = (&self.operator_token, &self.operator_token_file) {
            let text = check_with(SETTING, std::fs::read_to_string(path))?;
            let token = text.lines().next().unwrap_or_default().trim();
            self.operator_token = Some(Secret(token.to_owned()));
        }
        let long_enough = self
            .operator_token
            .as_ref()
            .is_none_or(|token| token.expose().len() >= 16);
        ensure(
            long_enough,
            "auth.operator_token",
            "must have at least 16 characters",
        )
    }
}

impl Http {
    /// The deadline of one request.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

fn ensure(holds: bool, setting: &'static str, problem: &str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Invalid {
            setting,
            problem: problem.to_owned(),
        })
    }
}

fn check_with<T, E: std::fmt::Display>(
    setting: &'static str,
    parsed: Result<T, E>,
) -> Result<T, Error> {
    parsed.map_err(|error| Error::Invalid {
        setting,
        problem: error.to_string(),
    })
}
