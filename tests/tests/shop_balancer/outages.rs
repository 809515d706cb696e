//! Under load one proxy is killed and started again, then the other one is drained: no request fails that was safe to
//! send again, and nothing is bought twice.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use holdfast_tests::data::Home;
use holdfast_tests::faults::rest;
use holdfast_tests::shop::send;
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use sqlx::{Connection, MySqlConnection};

use super::load::{Asked, Fate, Load};
use super::streams::Watcher;
use super::*;

const STOCK: i64 = 100_000;
/// Answers of each kind between one trouble and the next.
const MEANWHILE: usize = 25;

/// Longer than HAProxy takes to give a proxy up.
const HEALTH_CHECKS: Duration = Duration::from_secs(4);

/// Waits until the proxy sells: it was put back.
async fn until_it_sells(proxy: &Proxy) -> Result<()> {
    wait::until_async("the proxy to be asked again", PATIENCE, || async {
        let sold = proxy
            .metric("holdfast_sagas_total{ending=\"confirmed\"}")
            .await;
        Ok(sold.is_ok_and(|sold| sold > 0.0).then_some(()))
    })
    .await
}

/// Balancers that send nothing again: what fails through them would fail through the others too, if they did not.
fn without_repeats(kind: Kind, pair: &Pair) -> Result<Balancer> {
    Balancer::start_with(kind, pair.addresses(), |configuration| {
        configuration
            .replace("retries 3", "retries 0")
            .replace("retry-on conn-failure", "retry-on none #")
            .replace(
                "proxy_next_upstream error timeout;",
                "proxy_next_upstream off;",
            )
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_may_be_killed_and_another_drained() -> Result<()> {
    let pair = PAIR.write().await;
    for sku in ["LAMP", "VASE"] {
        pair.shop().set_stock(sku, STOCK).await?;
    }
    let balancers = [
        ("haproxy", pair.behind(Kind::Haproxy)?),
        ("nginx", pair.behind(Kind::Nginx)?),
    ];
    let controls = [
        (
            "haproxy without repeats",
            without_repeats(Kind::Haproxy, &pair)?,
        ),
        (
            "nginx without repeats",
            without_repeats(Kind::Nginx, &pair)?,
        ),
    ];
    let mut load = Load::new();
    for (through, balancer) in &balancers {
        for asked in [
            Asked::Touch,
            Asked::Read,
            Asked::OrderWithKey,
            Asked::OrderWithKey,
            Asked::OrderWithoutKey,
        ] {
            load.add(through, balancer, &pair, asked).await?;
        }
    }
    for (through, balancer) in &controls {
        load.add(through, balancer, &pair, Asked::Read).await?;
    }
    load.goes_on(MEANWHILE).await?;

    pair.other.server().kill()?;
    load.goes_on(MEANWHILE).await?;
    pair.other.start()?;
    until_it_sells(&pair.other).await?;
    load.goes_on(MEANWHILE).await?;

    let mut watchers = Vec::new();
    for (_, balancer) in &balancers {
        // Two, so that either proxy has one.
        watchers.extend([
            Watcher::new(balancer, "WATCHED")?,
            Watcher::new(balancer, "WATCHED")?,
        ]);
    }
    for watcher in &mut watchers {
        watcher.hears(10).await?;
    }
    let drained = Instant::now();
    pair.stack.proxy.server().signal(Signal::SIGTERM)?;
    pair.stack.proxy.server().wait_for_end(PATIENCE)?;
    load.goes_on(MEANWHILE).await?;
    Shop::at(&pair.other.url(), pair.other.operator_token())
        .set_stock("WATCHED", 77)
        .await?;
    for watcher in &mut watchers {
        watcher.hears(77).await?;
    }
    pair.stack.proxy.start()?;
    until_it_sells(&pair.stack.proxy).await?;
    let fates = load.end().await?;
    tell(&fates);

    let failed: Vec<&Fate> = fates.iter().filter(|fate| fate.failure.is_some()).collect();
    for control in ["haproxy without repeats", "nginx without repeats"] {
        assert!(
            failed.iter().any(|fate| fate.through == control),
            "{control} failed nobody"
        );
    }
    let failed = failed
        .iter()
        .filter(|fate| !fate.through.ends_with("without repeats"));
    // Of a proxy that is killed nobody can know what it was doing. Of one that drains, everything is known.
    let wrongly: Vec<_> = failed
        .filter(|fate| fate.asked != Asked::OrderWithoutKey || fate.at > drained)
        .collect();
    assert!(wrongly.is_empty(), "{wrongly:#?}");
    nothing_is_bought_twice(&pair.stack, &fates).await
}

/// The database is every proxy's: to take them out for it would take away what goes on without.
#[tokio::test]
async fn reads_go_on_while_the_database_is_away() -> Result<()> {
    let pair = PAIR.write().await;
    if !pair.stack.mysql.is_private() {
        return Ok(());
    }
    let balancer = pair.behind(Kind::Haproxy)?;
    let client = balancer.client()?.build()?;
    let read = async || {
        let request = client.get(format!("{}/v1/products/SEEN", balancer.url()));
        anyhow::Ok(send(request).await?.status)
    };
    // Either proxy has it by then, and Redis for both.
    for _ in 0..4 {
        assert_eq!(read().await?, 200);
    }
    pair.stack.mysql.server()?.kill()?;
    let since = Instant::now();
    let gone_on = wait::until_async("some health checks", PATIENCE, async || {
        assert_eq!(read().await?, 200, "after {:?}", since.elapsed());
        Ok((since.elapsed() > HEALTH_CHECKS).then_some(()))
    });
    let gone_on = gone_on.await;
    let ready = reqwest::get(format!("{}/readyz", pair.stack.proxy.admin_url())).await?;
    let (status, body) = (ready.status(), ready.text().await?);
    pair.stack.mysql.start_again()?;
    gone_on?;
    assert!(
        status == 200 && body.contains("degraded"),
        "{status} {body}"
    );
    pair.shop().set_stock("SEEN", 30).await
}

/// How many requests there were, and how many failed.
fn tell(fates: &[Fate]) {
    let kinds: BTreeSet<_> = fates
        .iter()
        .map(|fate| (fate.through, format!("{:?}", fate.asked)))
        .collect();
    for (through, asked) in kinds {
        let of_kind = || {
            fates
                .iter()
                .filter(|fate| fate.through == through && format!("{:?}", fate.asked) == asked)
        };
        let failed = of_kind().filter(|fate| fate.failure.is_some());
        let slowest = of_kind().map(|fate| fate.took).max().unwrap_or_default();
        println!(
            "{through}, {asked}: {} asked, {} failed, the slowest took {slowest:?}",
            of_kind().count(),
            failed.count()
        );
    }
}

/// Each order with a key is one; of those without, none is more than was asked for; and the audit agrees.
async fn nothing_is_bought_twice(stack: &Stack, fates: &[Fate]) -> Result<()> {
    let bought: Vec<&str> = fates
        .iter()
        .filter_map(|fate| fate.order.as_deref())
        .collect();
    let file = Home::for_test("acknowledged")?.path("orders");
    fs::write(&file, bought.join("\n"))?;
    let verdict = rest::audit(stack, Some(&file))?;
    assert!(
        verdict.contains("SOUND: every invariant holds"),
        "{verdict}"
    );

    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let confirmed = "SELECT COUNT(*) FROM orders WHERE status = 'CONFIRMED'";
    let confirmed: i64 = sqlx::query_scalar(confirmed).fetch_one(&mut mysql).await?;
    let unique: BTreeSet<&str> = bought.iter().copied().collect();
    assert_eq!(unique.len(), bought.len());
    let unanswered = fates
        .iter()
        .filter(|fate| fate.asked == Asked::OrderWithoutKey && fate.failure.is_some());
    let most = unique.len() + unanswered.count();
    assert!(
        (unique.len()..=most).contains(&(confirmed as usize)),
        "{} to {most}, {confirmed}",
        unique.len()
    );
    Ok(())
}
