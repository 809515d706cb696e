//! With `redis.replica_acks` a hold counts only when a replica has it.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::shop::{GOOD_CARD, Shop, Shopper, lines};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const BUYERS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_counts_only_when_a_replica_has_it() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(&["ALONE", "HELD", "STOPPED", "RUSH"])?),
        environment: environment_of(&[
            ("HOLDFAST_REDIS__REPLICA_ACKS", "1"),
            ("HOLDFAST_REDIS__REPLICA_ACKS_TIMEOUT_MS", "300"),
        ]),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    let buyer = shop.guest().await?;

    // Without a replica nothing is sold or held, and nothing stays behind.
    is_refused_and_free(&stack, &buyer, "ALONE").await?;

    let replica = Redis::start_private(RedisOptions {
        replica_of: Some(stack.redis.port()?),
        ..RedisOptions::default()
    })?;
    wait::until_async("the replica to be in step", PATIENCE, || async {
        Ok((buyer.buy("ALONE", 1, GOOD_CARD).await?.status == 201).then_some(()))
    })
    .await?;

    // Whatever was answered with a hold is on the replica by then.
    let mut on_replica = replica.connection()?;
    for _ in 0..10 {
        let held = hold(&buyer, "HELD", 1).await?;
        let state: Vec<String> = redis::cmd("INV.HOLD")
            .arg(&["inv:{HELD}", held.id()?])
            .query(&mut on_replica)?;
        assert!(state.contains(&"HELD".to_owned()), "{state:?}");
    }

    replica.server()?.signal(Signal::SIGSTOP)?;
    is_refused_and_free(&stack, &buyer, "STOPPED").await?;
    // A refusal has nothing to lose.
    let short = buyer.buy("STOPPED", 11, GOOD_CARD).await?;
    assert_eq!((short.status, short.problem()), (409, "out-of-stock"));
    // The same hold without the wait: what was refused above was refused for the replica.
    let careless = stack.another_proxy_with(&[("HOLDFAST_REDIS__REPLICA_ACKS", "0")])?;
    let sold = buyer.at(&careless).buy("STOPPED", 1, GOOD_CARD).await?;
    assert_eq!(sold.status, 201, "{sold:?}");

    replica.server()?.signal(Signal::SIGCONT)?;
    wait::until_async("the replica to be in step again", PATIENCE, || async {
        Ok((buyer.buy("STOPPED", 1, GOOD_CARD).await?.status == 201).then_some(()))
    })
    .await?;

    shop.set_stock("RUSH", BUYERS as i64).await?;
    let buyers = try_join_all((0..BUYERS).map(|_| shop.guest())).await?;
    let before = waits(&stack)?;
    let sold = try_join_all(buyers.iter().map(|buyer| buyer.buy("RUSH", 1, GOOD_CARD))).await?;
    assert!(sold.iter().all(|reply| reply.status == 201), "{sold:?}");
    let waited = waits(&stack)? - before;
    assert!(
        (1..BUYERS).contains(&waited),
        "{waited} WAITs for {BUYERS} holds: one covers those sent before it"
    );
    Ok(())
}

/// Neither an order nor a checkout hold is taken, both may be tried again, and all units are free.
async fn is_refused_and_free(stack: &Stack, buyer: &Shopper, sku: &str) -> Result<()> {
    let replies = [
        buyer.buy(sku, 2, GOOD_CARD).await?,
        hold(buyer, sku, 2).await?,
    ];
    for refused in replies {
        assert_eq!((refused.status, refused.problem()), (503, "unavailable"));
        assert_eq!(refused.body["retry_safe"], true);
    }
    let counts: Vec<String> = redis::cmd("INV.GET")
        .arg(format!("inv:{{{sku}}}"))
        .query(&mut stack.redis.connection()?)?;
    let held = counts.iter().skip_while(|name| *name != "held").nth(1);
    assert_eq!(held.map(String::as_str), Some("0"), "{counts:?}");
    Ok(())
}

async fn hold(buyer: &Shopper, sku: &str, quantity: i64) -> Result<holdfast_tests::shop::Reply> {
    let body = json!({ "items": lines(&[(sku, quantity)]) });
    buyer.call(Method::POST, "/v1/holds", &body).await
}

/// How often the server was told to WAIT.
fn waits(stack: &Stack) -> Result<usize> {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut stack.redis.connection()?)?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_wait:calls="));
    let calls = line.and_then(|line| line.split(',').next());
    Ok(calls.context("WAIT in the statistics")?.parse()?)
}
