//! Live stock: whoever watches a product is told of every change, whichever node it lies on, while slots move and nodes
//! die.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::cluster::RedisCluster;
use holdfast_tests::heard::Heard;
use holdfast_tests::redis::Redis;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::Stack;
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::Client;
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::failing::{replica_of, role, start_all};
use super::{PATIENCE, PLENTY, SKUS, STACK, neighbours, sells, slot, whole};

/// Changes one after the other, each told before the next is made.
const CHANGES: i64 = 5;
/// All of them are told within that. Everything is read again every ten seconds, which explains one of them at most.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Those who watch, one each product.
struct Crowd {
    heard: Vec<(&'static str, Heard)>,
    units: i64,
}

impl Crowd {
    async fn of(stack: &Stack) -> Result<Crowd> {
        let (client, url) = (Client::new(), stack.proxy.url());
        let mut heard = Vec::new();
        for sku in SKUS {
            heard.push((sku, Heard::of(&client, &url, sku, None).await?));
            until_subscribed(stack.cluster()?, sku, 1).await?;
        }
        let units = PLENTY;
        Ok(Crowd { heard, units })
    }

    /// Changes these, again and again, and has each who watches them told each time.
    async fn assert_told(&mut self, shop: &Shop, skus: &[&str], when: &str) -> Result<()> {
        let began = Instant::now();
        let changes = async {
            for _ in 0..CHANGES {
                self.units += 1;
                let units = self.units;
                try_join_all(skus.iter().map(|sku| shop.set_stock(sku, units))).await?;
                let heard = self.heard.iter_mut().filter(|(sku, _)| skus.contains(sku));
                let told =
                    heard.map(|(_, heard)| heard.until(move |stock| stock["on_hand"] == units));
                try_join_all(told).await?;
            }
            anyhow::Ok(())
        };
        let told = timeout(AT_ONCE, changes).await;
        told.with_context(|| format!("not told at once of {skus:?} {when}"))??;
        eprintln!(
            "{CHANGES} changes of {} products {when} told in {:?}",
            skus.len(),
            began.elapsed()
        );
        Ok(())
    }
}

/// How many subscribe to a product's news at the node that serves it.
fn subscribed(cluster: &RedisCluster, sku: &str) -> Result<u64> {
    let node = cluster.owner(slot(cluster, sku)?)?;
    let (_, count): (String, u64) = redis::cmd("PUBSUB")
        .arg("SHARDNUMSUB")
        .arg(format!("inventory.updated:inv:{{{sku}}}"))
        .query(&mut node.connection()?)?;
    Ok(count)
}

async fn until_subscribed(cluster: &RedisCluster, sku: &str, wanted: u64) -> Result<()> {
    let what = format!("{wanted} subscriptions to {sku}");
    wait::until_async(what, AT_ONCE, || async {
        Ok((subscribed(cluster, sku)? == wanted).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_on_all_nodes_are_told_at_once_and_after_slots_have_moved() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    let mut crowd = Crowd::of(&stack).await?;
    crowd.assert_told(&shop, &SKUS, "on all nodes").await?;

    let (moving, (here, elsewhere)) = (slot(cluster, SKUS[0])?, neighbours(cluster, SKUS[0])?);
    ensure!(here.contains(&SKUS[0]), "it is elsewhere");
    let from = cluster.owner(moving)?;
    let to: &Redis = cluster.owner(slot(cluster, elsewhere[0])?)?;
    for (from, to, when) in [(from.as_ref(), to, "moved"), (to, from, "moved back")] {
        block_in_place(|| cluster.move_slots([moving], from, to))?;
        crowd.assert_told(&shop, &SKUS, when).await?;
    }
    if cluster.moves_slots_whole()? {
        for (from, to, when) in [
            (from.as_ref(), to, "moved whole"),
            (to, from, "moved whole back"),
        ] {
            block_in_place(|| cluster.move_slots_whole(moving..moving + 1, from, to))?;
            crowd.assert_told(&shop, &SKUS, when).await?;
        }
    }

    // Nobody listens where nobody watches.
    drop(crowd);
    for sku in SKUS {
        until_subscribed(cluster, sku, 0).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_is_away_news_of_the_others_go_on_and_its_own_come_back_with_its_replica()
-> Result<()> {
    let stack = STACK.lock().await;
    let cluster = stack.cluster()?;
    for fault in [Signal::SIGKILL, Signal::SIGSTOP] {
        let shop = whole(&stack).await?;
        let mut crowd = Crowd::of(&stack).await?;
        let (_, elsewhere) = neighbours(cluster, SKUS[0])?;
        let node = cluster.owner(slot(cluster, SKUS[0])?)?;
        let replica = replica_of(cluster, node)?;

        match fault {
            Signal::SIGKILL => node.server()?.kill()?,
            other => node.server()?.signal(other)?,
        }
        let told = told_without(&stack, &shop, &mut crowd, &elsewhere, &replica).await;
        if fault == Signal::SIGSTOP {
            node.server()?.signal(Signal::SIGCONT)?;
        }
        told.with_context(|| format!("{fault}"))?;
        start_all(&stack)?;
        whole(&stack).await?;
        crowd.units = PLENTY;
        crowd.assert_told(&shop, &SKUS, "when it is back").await?;
    }
    Ok(())
}

async fn told_without(
    stack: &Stack,
    shop: &Shop,
    crowd: &mut Crowd,
    others: &[&str],
    replica: &Redis,
) -> Result<()> {
    crowd
        .assert_told(shop, others, "beside a node that is away")
        .await?;
    let is_promoted = || role(replica).map(|role| (role == "master").then_some(()));
    block_in_place(|| wait::until("a replica to be promoted", PATIENCE, is_promoted))?;
    sells(stack).await?;
    crowd.assert_told(shop, &SKUS, "after a promotion").await
}
