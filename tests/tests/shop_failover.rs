//! One failover of each shape under a steady load: nothing is lost or oversold, and everything is served again. `make
//! failover` measures all of them.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, ensure};
use holdfast_tests::failover::kind::Kind;
use holdfast_tests::failover::scenario::named;
use holdfast_tests::failover::timeline::totals;
use holdfast_tests::failover::{Bench, Ending};
use holdfast_tests::faults::accounts;
use tokio::sync::Mutex;

/// One at a time: all at once would be more servers than a small machine has memory for.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Runs a scenario in a shop of its own, and holds its end against what clients know.
async fn survives(scenario: &str) -> Result<Bench> {
    let _alone = ALONE.lock().await;
    let scenario = named(scenario)?;
    let bench = Bench::open(scenario.shape).await?;
    let report = bench.run(scenario).await?;
    println!("{}", report.text());
    ensure!(report.is_back(), "not everything is served again");
    for kind in Kind::ALL {
        let all = totals(&report.outcomes, kind);
        ensure!(all.at_once > 0, "{} was never served: {all:?}", kind.name());
    }
    let Ending {
        acknowledged,
        lost,
        audit,
    } = bench.end().await?;
    ensure!(acknowledged > 0, "nothing was sold");
    ensure!(lost.is_empty(), "lost: {lost:?}");
    println!("{}", audit?);
    Ok(bench)
}

#[tokio::test]
async fn a_proxy_is_killed_and_an_order_that_was_never_sold_would_be_missed() -> Result<()> {
    let bench = survives("proxy-killed").await?;
    let made_up = "019aa0c4-0000-7000-8000-000000000000".to_owned();
    let sold = accounts::Ending::Sold(made_up.clone());
    bench.crowd.accounts.note(sold, Instant::now())?;
    let ending = bench.end().await?;
    assert_eq!(ending.lost, BTreeSet::from([made_up.clone()]));
    let Err(found) = &ending.audit else {
        panic!("the audit has not missed an order that was never sold");
    };
    assert!(format!("{found:#}").contains(&made_up), "{found:#}");
    assert!(!ending.is_sound());
    Ok(())
}

#[tokio::test]
async fn the_primary_of_redis_under_sentinel_is_killed() -> Result<()> {
    survives("sentinel-killed").await.map(drop)
}

#[tokio::test]
async fn a_primary_of_a_redis_cluster_is_killed() -> Result<()> {
    survives("cluster-killed").await.map(drop)
}

#[tokio::test]
async fn the_primary_of_mysql_is_killed_and_a_replica_promoted() -> Result<()> {
    survives("mysql-primary-killed").await.map(drop)
}
