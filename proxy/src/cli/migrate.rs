//! `holdfast migrate`

use anyhow::Context;

use crate::config::Config;
use crate::store::{MIGRATIONS, Store};

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&config.mysql, &config.commit)?;
    store.migrate().await.context(
        "the migrations stopped (mysql.url); what was applied stays, and the command may be repeated",
    )?;
    println!(
        "the database has all {} migrations",
        MIGRATIONS.iter().count()
    );
    Ok(())
}
