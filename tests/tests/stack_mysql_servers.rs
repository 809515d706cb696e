//! The launcher's replicated database, which is the configuration and the scripts of deploy/mysql on real servers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::mysql::Mysql;
use holdfast_tests::mysql_servers::MysqlServers;
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tokio::time::timeout;

/// Longer than a replica needs to follow, shorter than a test may hang.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_was_acknowledged_outlives_each_primary() -> Result<()> {
    let servers = MysqlServers::start(2)?;
    run(
        servers.primary(),
        "CREATE TABLE holdfast.kept (id INT PRIMARY KEY)",
    )
    .await?;
    run(servers.primary(), "INSERT INTO holdfast.kept VALUES (1)").await?;

    servers.primary().server()?.kill()?;
    let second = servers.promote()?;
    ensure!(second != 0, "a dead server was promoted");
    run(servers.primary(), "INSERT INTO holdfast.kept VALUES (2)").await?;
    let third = 3 - second;
    eventually_has(&servers.all()[third], &[1, 2]).await?;
    ensure!(
        run(
            &servers.all()[third],
            "INSERT INTO holdfast.kept VALUES (7)"
        )
        .await
        .is_err()
    );

    // The old one comes back as a replica, read only until it is chosen.
    servers.all()[0].start_again()?;
    servers.rejoin(0)?;
    eventually_has(&servers.all()[0], &[1, 2]).await?;
    ensure!(
        run(&servers.all()[0], "INSERT INTO holdfast.kept VALUES (8)")
            .await
            .is_err()
    );
    servers.promote_to(0)?;
    run(servers.primary(), "INSERT INTO holdfast.kept VALUES (3)").await?;
    eventually_has(&servers.all()[second], &[1, 2, 3]).await
}

#[tokio::test]
async fn a_primary_that_was_left_behind_commits_nothing_and_brings_nothing_back() -> Result<()> {
    let servers = MysqlServers::start(2)?;
    let old = &servers.all()[0];
    run(old, "CREATE TABLE holdfast.kept (id INT PRIMARY KEY)").await?;
    // Its session is open before, as a proxy's is.
    let mut session = MySqlConnection::connect(&old.url("holdfast")).await?;
    old.server()?.signal(Signal::SIGSTOP)?;
    servers.promote()?;
    old.server()?.signal(Signal::SIGCONT)?;

    let insert = sqlx::query("INSERT INTO holdfast.kept VALUES (1)").execute(&mut session);
    let written = timeout(Duration::from_secs(3), insert).await;
    ensure!(
        written.is_err(),
        "it was committed, or refused: {written:?}"
    );
    ensure!(
        ids(old).await?.is_empty(),
        "what nobody acknowledged is seen"
    );
    run(servers.primary(), "INSERT INTO holdfast.kept VALUES (2)").await?;

    let hung = servers
        .rejoin(0)
        .err()
        .context("a primary that hangs was taken up")?;
    ensure!(hung.to_string().contains("kill"), "{hung}");
    old.server()?.kill()?;
    old.start_again()?;
    if let Err(refused) = servers.rejoin(0) {
        // MySQL keeps what is in its log, and is refused for it.
        ensure!(refused.to_string().contains("has what"), "{refused}");
        ensure!(
            run(old, "INSERT INTO holdfast.kept VALUES (3)")
                .await
                .is_err()
        );
        servers.bring_back(0)?;
    }
    eventually_has(old, &[2]).await?;
    eventually_has(servers.primary(), &[2]).await
}

async fn run(server: &Mysql, statement: &str) -> Result<()> {
    let mut connection = MySqlConnection::connect(&server.url("holdfast")).await?;
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    Ok(())
}

async fn ids(server: &Mysql) -> Result<Vec<i32>> {
    let mut connection = MySqlConnection::connect(&server.url("holdfast")).await?;
    let ids = sqlx::query_scalar("SELECT id FROM kept ORDER BY id");
    Ok(ids.fetch_all(&mut connection).await?)
}

async fn eventually_has(server: &Mysql, wanted: &[i32]) -> Result<()> {
    wait::until_async(
        format_args!("a server to have {wanted:?}"),
        SOON,
        async || Ok((ids(server).await? == wanted).then_some(())),
    )
    .await
}
