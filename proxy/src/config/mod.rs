//! The configuration of the proxy: one struct a concern, read from a TOML file and the
//! environment (`HOLDFAST_<SECTION>__<KEY>`), and checked whole before a port is bound.

mod check;
mod sections;

use std::path::Path;

use serde::Deserialize;

pub use sections::{
    Admin, Auth, Cart, Holds, Http, Kafka, Log, LogFormat, Mysql, Payment, Recovery, Redis, Secret,
    Session,
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
}
