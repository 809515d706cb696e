//! A shop on a Redis Cluster: orders over all nodes, slots that move, nodes that are added, die, hang and come back empty, and streams of stock through all of it.
//!
//! The tests take turns on one stack; each leaves the cluster whole.

mod failing;
mod half_moved;
mod load;
mod moving;
mod orders;
mod reconciled;
mod replicated;
mod restarted_empty;
mod streams;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::cluster::RedisCluster;
use holdfast_tests::redis::Redis;
use holdfast_tests::shape::Shape;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use tokio::sync::Mutex;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Some are on each node.
const SKUS: [&str; 9] = [
    "CLOCK", "BOWL", "CHAIR", "DESK", "EASEL", "FRAME", "GLASS", "HOOK", "INK",
];
/// Enough that nobody is refused.
const PLENTY: i64 = 1_000_000;

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        redis_shape: Shape::Cluster,
        catalogue: Some(catalogue_of(&SKUS)?),
        environment: environment_of(&[
            ("HOLDFAST_LIMITS__SESSION_REQUESTS", "0"),
            ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
            ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
            // What is put out of step by hand stays so until it is looked at, or met.
            ("HOLDFAST_RECONCILE__INTERVAL_MS", "3600000"),
        ]),
        ..StackOptions::default()
    })
}

/// The shop, when its cluster is whole and every product is in plenty.
async fn whole(stack: &Stack) -> Result<Shop> {
    let cluster = stack.cluster()?;
    tokio::task::block_in_place(|| cluster.wait_until_well())?;
    sells(stack).await?;
    let shop = Shop::of(&stack.proxy);
    for sku in SKUS {
        shop.set_stock(sku, PLENTY).await?;
    }
    Ok(shop)
}

/// Waits until the proxy sells by what every node counts.
async fn sells(stack: &Stack) -> Result<()> {
    wait::until_async("the shop to sell again", PATIENCE, || async {
        let sells = stack.proxy.metric("holdfast_redis_sells").await?;
        let open = stack.proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((sells == 1.0 && open == 0.0).then_some(()))
    })
    .await
}

/// The slot of a product's stock.
fn slot(cluster: &RedisCluster, sku: &str) -> Result<usize> {
    slot_of(cluster, &format!("inv:{{{sku}}}"))
}

/// The slot of a key.
fn slot_of(cluster: &RedisCluster, key: &str) -> Result<usize> {
    let node = cluster.nodes().find(|node| {
        let server = node.server();
        server.is_ok_and(|server| server.is_running())
    });
    let mut connection = node.context("no node runs")?.connection()?;
    let mut keyslot = redis::cmd("CLUSTER");
    keyslot.arg("KEYSLOT").arg(key);
    Ok(keyslot.query(&mut connection)?)
}

/// The products on the node that serves `of` now, and those on the others.
fn neighbours(cluster: &RedisCluster, of: &str) -> Result<(Vec<&'static str>, Vec<&'static str>)> {
    let port = |sku: &str| cluster.owner(slot(cluster, sku)?)?.port();
    let node = port(of)?;
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for sku in SKUS {
        match port(sku)? == node {
            true => here.push(sku),
            false => elsewhere.push(sku),
        }
    }
    ensure!(!elsewhere.is_empty(), "everything is on one node");
    Ok((here, elsewhere))
}

/// What a node counts of a product's stock under this name, such as `held`; of a replica what it has by now.
fn counted(node: &Redis, sku: &str, name: &str) -> Result<i64> {
    let mut connection = node.connection()?;
    let () = redis::cmd("READONLY").query(&mut connection)?;
    let mut get = redis::cmd("INV.GET");
    let counts: HashMap<String, i64> = get.arg(format!("inv:{{{sku}}}")).query(&mut connection)?;
    let found = counts.get(name).copied();
    found.with_context(|| format!("{sku} has no {name}: {counts:?}"))
}

/// Nothing was oversold, lost or stranded.
fn assert_sound(stack: &Stack) -> Result<()> {
    let audit = || stack.audit(&["--wait", "60", "--at-rest"]);
    tokio::task::block_in_place(audit).map(drop)
}
