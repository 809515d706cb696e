//! The configuration of the proxy: one struct a concern, read from a TOML file and the
//! environment (`HOLDFAST_<SECTION>__<KEY>`), and checked whole before a port is bound.

mod check;
mod jwt;
mod limits;
mod mysql;
mod networks;
mod redis;
mod redis_url;
mod secrets;
mod sections;

use std::path::Path;

use serde::Deserialize;

pub use jwt::{Jwt, JwtAlgorithm};
pub use limits::Limits;
pub use mysql::{Mysql, MysqlHost};
pub use networks::{ForwardedHeader, Networks};
pub use redis::Redis;
pub use redis_url::{Address, Credentials, RedisShape, RedisUrl};
pub use secrets::Secret;
pub use sections::{
    Admin, Auth, Cart, Catalogue, Commit, Holds, Http, Idempotency, Kafka, Log, LogFormat, Orders,
    Payment, Reconcile, Recovery, Session, Stream, WithoutRedis,
};

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
    /// Access tokens for API clients.
    pub jwt: Jwt,
    /// How often somebody may ask.
    pub limits: Limits,
    /// The gate.
    pub redis: Redis,
    /// The truth.
    pub mysql: Mysql,
    /// Where events go.
    pub kafka: Kafka,
    /// The payment provider.
    pub payment: Payment,
    /// How long what was read of the catalogue is kept.
    pub catalogue: Catalogue,
    /// How long sessions live.
    pub session: Session,
    /// How long carts live.
    pub cart: Cart,
    /// Live stock, told as it changes.
    pub stream: Stream,
    /// How orders are gathered into transactions.
    pub commit: Commit,
    /// How long units are held.
    pub holds: Holds,
    /// What a shopper may do with an order.
    pub orders: Orders,
    /// How long requests with an Idempotency-Key are remembered.
    pub idempotency: Idempotency,
    /// How sagas that nobody runs any more are found.
    pub recovery: Recovery,
    /// How the stock in Redis is kept to that of MySQL.
    pub reconcile: Reconcile,
    /// What is logged and how.
    pub log: Log,
}

impl Config {
    /// Reads `file` (if given) and the environment over it, and checks the result.
    ///
    /// # Errors
    /// When a setting is unknown, unreadable or senseless; the error names it.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        Self::read(file, std::env::vars())
    }

    fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut sources = config::Config::builder();
        if let Some(file) = file {
            sources = sources.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        // Variables of the launcher (HOLDFAST_CONFIG, HOLDFAST_REDIS_URL …) name no section.
        let settings = variables.filter(|(name, _)| name.contains("__"));
        let environment = config::Environment::with_prefix("HOLDFAST")
            .prefix_separator("_")
            .separator("__")
            .source(Some(settings.collect()));
        let mut config: Self = sources.add_source(environment).build()?.try_deserialize()?;
        config.auth.read_token_file()?;
        config.redis.read_files()?;
        config.payment.read_secret_files()?;
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod documentation;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Error> {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Config::read(None, variables.iter().map(owned))
    }

    #[test]
    fn the_environment_sets_values_of_every_kind() {
        let config = read(&[
            ("HOLDFAST_HTTP__LISTEN", "127.0.0.1:7777"),
            ("HOLDFAST_HTTP__PLAIN_HTTP_COOKIES", "true"),
            ("HOLDFAST_REDIS__TIMEOUT_MS", "700"),
            ("HOLDFAST_LOG__FORMAT", "json"),
            ("HOLDFAST_REDIS_URL", "not ours: it names no section"),
        ]);
        let config = config.expect("sound settings");
        assert_eq!(config.http.listen.port(), 7777);
        assert!(config.http.plain_http_cookies);
        assert_eq!(config.redis.timeout_ms, 700);
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn a_token_that_looks_like_a_number_is_taken_as_it_stands() {
        let token = "1e20000000000000";
        let config = read(&[("HOLDFAST_AUTH__OPERATOR_TOKEN", token)]).expect("a token");
        assert_eq!(config.auth.operator_token.expect("given").expose(), token);
    }

    #[test]
    fn what_is_unknown_or_unreadable_is_named() {
        for (name, value, named) in [
            ("HOLDFAST_REDDIS__URL", "x", "reddis"),
            ("HOLDFAST_REDIS__TIMEOUT", "1", "timeout"),
            ("HOLDFAST_REDIS__TIMEOUT_MS", "soon", "redis.timeout_ms"),
        ] {
            let refused = read(&[(name, value)]).expect_err(name).to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
