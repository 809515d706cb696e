//! The catalogue and a replica of the database that lags, is gone and comes back.

use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{Reply, Shop, send};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::{Client, Method};
use serde_json::{Value, json};

const REPLICA: &str = "holdfast_mysql_reads_total{pool=\"replica\"}";
const PRIMARY: &str = "holdfast_mysql_reads_total{pool=\"primary\"}";
const SERVES: &str = "holdfast_mysql_replica_serves";
const LAG: &str = "holdfast_mysql_replica_lag_seconds";
const DEADLINE: Duration = Duration::from_secs(60);

async fn get(proxy: &Proxy, path: &str) -> Result<Reply> {
    send(Client::new().get(format!("{}{path}", proxy.url()))).await
}

/// Lists the catalogue, and tells which server was read.
async fn read_from(proxy: &Proxy) -> Result<&'static str> {
    let before = (proxy.metric(REPLICA).await?, proxy.metric(PRIMARY).await?);
    let page = get(proxy, "/v1/products").await?;
    assert_eq!(page.status, 200, "{page:?}");
    let after = (proxy.metric(REPLICA).await?, proxy.metric(PRIMARY).await?);
    match (after.0 > before.0, after.1 > before.1) {
        (true, false) => Ok("replica"),
        (false, true) => Ok("primary"),
        both => anyhow::bail!("read by {both:?}"),
    }
}

/// A list is read from the primary for a moment after a change.
async fn until_read_from_replica(proxy: &Proxy) -> Result<()> {
    wait::until_async("the replica to be read", DEADLINE, || async {
        Ok((read_from(proxy).await? == "replica").then_some(()))
    })
    .await
}

async fn until_serves(proxy: &Proxy, serves: f64) -> Result<()> {
    wait::until_async(format!("the replica at {serves}"), DEADLINE, || async {
        Ok((proxy.metric(SERVES).await? == serves).then_some(()))
    })
    .await
}

fn form(name: &str) -> Value {
    json!({ "name": name, "price_minor": 1000, "currency": "GBP" })
}

async fn name_at(proxy: &Proxy, sku: &str) -> Result<Value> {
    let reply = get(proxy, &format!("/v1/products/{sku}")).await?;
    assert_eq!(reply.status, 200, "{reply:?}");
    Ok(reply.body["name"].clone())
}

#[tokio::test]
async fn the_replica_is_read_while_it_keeps_up_and_the_primary_otherwise() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        replica: true,
        catalogue: Some(catalogue_of(&["MUG", "CUP"])?),
        environment: environment_of(&[("HOLDFAST_CATALOGUE__LOCAL_TTL_MS", "100")]),
        ..StackOptions::default()
    })?;
    let replica = stack.replica.as_ref().context("it was asked for")?;
    // Another proxy puts up with any lag, so that what it shows may be old.
    let patient = stack.another_proxy_with(&[("HOLDFAST_MYSQL__REPLICA_MAX_LAG_MS", "600000")])?;
    let proxy = &stack.proxy;
    until_serves(proxy, 1.0).await?;
    until_serves(&patient, 1.0).await?;
    until_read_from_replica(proxy).await?;

    // It lags.
    replica.fall_behind()?;
    until_serves(proxy, 0.0).await?;
    assert!(proxy.metric(LAG).await? > 1.0);
    assert_eq!(read_from(proxy).await?, "primary");
    assert_eq!(read_from(&patient).await?, "replica");
    let shop = Shop::of(&patient);
    let changed = shop
        .call(Method::PUT, "/v1/products/MUG", &form("Newer"))
        .await?;
    assert_eq!(changed.status, 200);
    let forget = || -> Result<()> {
        let mut connection = stack.redis.connection()?;
        Ok(redis::cmd("DEL")
            .arg("product:{MUG}")
            .query(&mut connection)?)
    };
    forget()?;
    // Who was told of the change takes no older reading, however patient it is.
    assert_eq!(name_at(&patient, "MUG").await?, "Newer");
    assert!(
        patient
            .metric("holdfast_catalogue_stale_loads_total")
            .await?
            >= 1.0
    );
    assert_eq!(
        read_from(&patient).await?,
        "primary",
        "lists show a change that is young"
    );
    // The control: who was not told and puts up with the lag is shown the old one.
    forget()?;
    let late = stack.another_proxy_with(&[("HOLDFAST_MYSQL__REPLICA_MAX_LAG_MS", "600000")])?;
    until_serves(&late, 1.0).await?;
    forget()?;
    assert_eq!(name_at(&late, "MUG").await?, "Thing");

    // It catches up.
    replica.catch_up()?;
    until_serves(proxy, 1.0).await?;
    until_read_from_replica(proxy).await?;
    let page = get(proxy, "/v1/products").await?;
    assert_eq!(page.body["products"][1]["name"], "Newer");

    // It stands still: whoever meets it then goes to the primary.
    replica.mysql().server()?.signal(Signal::SIGSTOP)?;
    assert_eq!(read_from(proxy).await?, "primary");
    replica.mysql().server()?.signal(Signal::SIGCONT)?;
    until_serves(proxy, 1.0).await?;

    // It is killed, and started again.
    replica.mysql().server()?.kill()?;
    assert_eq!(read_from(proxy).await?, "primary");
    until_serves(proxy, 0.0).await?;
    replica.mysql().start_again()?;
    until_serves(proxy, 1.0).await?;
    until_read_from_replica(proxy).await?;

    // The primary is killed: the catalogue is there all the same, and nothing is bought of it.
    stack.mysql.server()?.kill()?;
    wait::until_async("a list from the replica", DEADLINE, || async {
        let page = get(proxy, "/v1/products").await?;
        Ok((page.status == 200).then_some(()))
    })
    .await?;
    forget()?;
    wait::until_async("a product that no layer has", DEADLINE, || async {
        let shown = get(proxy, "/v1/products/MUG").await?;
        Ok((shown.body["name"] == "Newer").then_some(()))
    })
    .await?;
    stack.mysql.start_again()?;
    let changed = wait::until_async("a change", DEADLINE, || async {
        let changed = Shop::of(proxy)
            .call(Method::PUT, "/v1/products/MUG", &form("Newest"))
            .await?;
        Ok((changed.status == 200).then_some(changed))
    })
    .await?;
    assert_eq!(changed.body["revision"], 3);
    assert_eq!(name_at(proxy, "MUG").await?, "Newest");
    until_serves(proxy, 1.0).await
}
