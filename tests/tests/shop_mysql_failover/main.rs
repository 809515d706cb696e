//! Primaries of MySQL that are killed, hang, wake up and are exchanged, under load at two proxies: no order that was
//! acknowledged is lost, nobody writes to two primaries, and the catalogue and orders are shown all the while.

mod load;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use holdfast_tests::faults::rest::audit;
use holdfast_tests::mysql::Mysql;
use holdfast_tests::mysql_servers::MysqlServers;
use holdfast_tests::probe;
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use nix::sys::signal::Signal;
use sqlx::{Connection, MySqlConnection, Row};
use tokio::task::spawn_blocking;

use load::{Load, SKU};

fn start(kafka: bool) -> Result<Arc<Stack>> {
    let stack = Stack::start(StackOptions {
        kafka,
        mysql_replicas: 2,
        catalogue: Some(catalogue_of(&[SKU])?),
        environment: environment_of(&[("HOLDFAST_RECOVERY__INTERVAL_MS", "500")]),
        ..StackOptions::default()
    })?;
    Ok(Arc::new(stack))
}

/// Has a script of deploy/mysql run while the load goes on.
async fn administer<T: Send + 'static>(
    stack: &Arc<Stack>,
    act: impl FnOnce(&MysqlServers) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stack = stack.clone();
    spawn_blocking(move || act(servers(&stack)?)).await?
}

fn servers(stack: &Stack) -> Result<&MysqlServers> {
    stack
        .mysql_servers
        .as_ref()
        .context("several were asked for")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_order_is_lost_with_any_primary() -> Result<()> {
    let stack = spawn_blocking(|| start(true)).await??;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock(SKU, 1_000_000).await?;
    let second = stack.another_proxy()?;
    let load = Load::start(&[&stack.proxy, &second]).await?;
    load.sells(Instant::now()).await?;

    let old = servers(&stack)?.primary().clone();
    old.server()?.kill()?;
    let killed = Instant::now();
    for proxy in [&stack.proxy, &second] {
        let ready = probe::http_status(proxy.admin_port(), "/readyz");
        ensure!(
            ready == Some(200),
            "a balancer would take all proxies out: {ready:?}"
        );
    }
    administer(&stack, MysqlServers::promote).await?;
    let promoted = Instant::now();
    let back = load.sells(promoted).await?;
    eprintln!(
        "killed: promoted after {:?}, sold {back:?} after that",
        promoted - killed
    );
    administer(&stack, |servers| servers.bring_back(0)).await?;

    let former = servers(&stack)?.primary_index();
    let old = servers(&stack)?.primary().clone();
    old.server()?.signal(Signal::SIGSTOP)?;
    let stopped = Instant::now();
    administer(&stack, MysqlServers::promote).await?;
    let promoted = Instant::now();
    let back = load.sells(promoted).await?;
    eprintln!(
        "stopped: promoted after {:?}, sold {back:?} after that",
        promoted - stopped
    );
    ensure!(
        servers(&stack)?.primary_index() != former,
        "a server that hangs was promoted"
    );
    wakes_up_and_is_not_written_to(&load, &old).await?;
    sells_nothing_alone(&stack, &old).await?;
    old.server()?.kill()?;
    administer(&stack, move |servers| servers.bring_back(former)).await?;

    let began = Instant::now();
    administer(&stack, move |servers| servers.promote_to(former)).await?;
    let promoted = Instant::now();
    let back = load.sells(promoted).await?;
    eprintln!(
        "planned: exchanged within {:?}, sold {back:?} after that",
        promoted - began
    );

    // The one that was exchanged lives, and follows like the others.
    for (at, server) in servers(&stack)?.all().iter().enumerate() {
        let mut connection = MySqlConnection::connect(&server.url("holdfast")).await?;
        let takes_writes = !is_read_only(&mut connection).await?;
        ensure!(
            takes_writes == (at == former),
            "server {at} takes writes: {takes_writes}"
        );
    }

    let outcome = load.end().await?;
    eprintln!("{} orders were acknowledged", outcome.sold);
    let acknowledged = outcome.acknowledged.clone();
    let audited = spawn_blocking(move || audit(&stack, Some(&acknowledged))).await??;
    eprintln!("{audited}");
    Ok(())
}

/// It takes writes, as it did before it was stopped, and no proxy gives it any.
async fn wakes_up_and_is_not_written_to(load: &Load, old: &Mysql) -> Result<()> {
    old.server()?.signal(Signal::SIGCONT)?;
    // What was on its way when it was stopped arrives now.
    load.sells_more(50).await?;
    let mut connection = MySqlConnection::connect(&old.url("holdfast")).await?;
    ensure!(
        !is_read_only(&mut connection).await?,
        "it does not take writes by itself already"
    );
    let before = writes(&mut connection).await?;
    load.sells_more(100).await?;
    let after = writes(&mut connection).await?;
    ensure!(
        before == after,
        "it was written to: {before:?}, then {after:?}"
    );
    Ok(())
}

async fn is_read_only(connection: &mut MySqlConnection) -> Result<bool> {
    let read_only = sqlx::query_scalar("SELECT CAST(@@GLOBAL.read_only AS SIGNED)");
    let read_only: i64 = read_only.fetch_one(connection).await?;
    Ok(read_only == 1)
}

/// How many statements of each kind that writes the server was asked for.
async fn writes(connection: &mut MySqlConnection) -> Result<Vec<String>> {
    let counts = sqlx::raw_sql(
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert', 'Com_update', 'Com_delete')",
    );
    let counts = counts.fetch_all(connection).await?;
    let count = |row: &sqlx::mysql::MySqlRow| Ok(row.try_get_unchecked::<String, _>(1)?);
    counts.iter().map(count).collect()
}

/// A proxy that knows of nobody else writes to the former primary, which acknowledges nothing.
async fn sells_nothing_alone(stack: &Stack, old: &Mysql) -> Result<()> {
    let url = old.url("holdfast");
    let lonely = stack.another_proxy_with(&[
        ("HOLDFAST_MYSQL__URL", &url),
        ("HOLDFAST_MYSQL__REPLICA_URL", &url),
        // It would correct Redis by what the former primary believes.
        ("HOLDFAST_RECONCILE__INTERVAL_MS", "3600000"),
    ])?;
    let believed = lonely.metric("holdfast_mysql_primary").await?;
    ensure!(
        believed == 1.0,
        "it does not take the former primary for one"
    );
    let shopper = Shop::of(&stack.proxy).guest().await?.at(&lonely);
    let reply = shopper.order(&[(SKU, 1)], GOOD_CARD, None).await?;
    ensure!(
        reply.status == 503 || reply.status == 202,
        "it was sold: {reply:?}"
    );
    Ok(())
}

/// Without the wait for a replica an order that was acknowledged is lost, and what looks for it sees that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_no_replica_has_is_lost_and_missed() -> Result<()> {
    let stack = spawn_blocking(|| start(false)).await??;
    let shopper = Shop::of(&stack.proxy).guest().await?;
    let kept = shopper.buy(SKU, 1, GOOD_CARD).await?;
    ensure!(kept.status == 201, "{kept:?}");
    administer(&stack, |servers| servers.acknowledge_alone()).await?;
    let lost = shopper.buy(SKU, 1, GOOD_CARD).await?;
    ensure!(lost.status == 201, "{lost:?}");
    servers(&stack)?.primary().server()?.kill()?;
    administer(&stack, MysqlServers::promote).await?;
    let mut connection = MySqlConnection::connect(&stack.database_url()).await?;
    ensure!(
        is_sold(&mut connection, kept.id()?).await?,
        "an order that a replica had was lost"
    );
    ensure!(
        !is_sold(&mut connection, lost.id()?).await?,
        "nothing was lost"
    );
    Ok(())
}

async fn is_sold(connection: &mut MySqlConnection, order: &str) -> Result<bool> {
    let order: uuid::Uuid = order.parse()?;
    let sold =
        sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE id = ? AND status = 'CONFIRMED'");
    let sold: i64 = sold.bind(order).fetch_one(connection).await?;
    Ok(sold == 1)
}
