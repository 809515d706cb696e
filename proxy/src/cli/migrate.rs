//! `holdfast migrate`

use anyhow::Context;

use super::output::say;
use crate::config::Config;
use crate::store::{MIGRATIONS, Store};

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&config.mysql, &config.commit)?;
    store.migrate().await.context(
        "the migrations stopped (mysql.url); what was applied stays, and the command may be repeated",
    )?;
    let count = MIGRATIONS.iter().count();
    say(format_args!("the database has all {count} migrations"))?;
    Ok(())
}
