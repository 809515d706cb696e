//! The servers that a command cannot do without, each found to answer before it begins.

use anyhow::Context;

use crate::config::Config;
use crate::gateway::Gateway;
use crate::store::Store;

/// MySQL with its tables.
///
/// # Errors
/// When it does not answer or is not migrated; the text names the setting.
pub(super) async fn store(config: &Config) -> anyhow::Result<Store> {
    let store = Store::open(&config.mysql, &config.commit).context("mysql.url")?;
    let ready = store.is_ready().await;
    ready.context("MySQL cannot be used (mysql.url)")?;
    Ok(store)
}

/// Redis with the module.
///
/// # Errors
/// When it does not answer or lacks the module; the text names the setting.
pub(super) async fn gateway(config: &Config) -> anyhow::Result<Gateway> {
    let gateway = Gateway::open(&config.redis)?;
    let ready = gateway.is_ready().await;
    ready.context("Redis cannot be used (redis.url)")?;
    Ok(gateway)
}
