//! Live stock: whoever watches a product is told of every change, by one subscription a product, through the loss of
//! Redis and to the end of the proxy.

mod crowd;
mod http2;
mod servers;
mod short;
mod stalled;
mod stream;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Result;
use holdfast_tests::heard::Heard;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use serde_json::Value;
use tokio::sync::RwLock;

const PATIENCE: Duration = Duration::from_secs(30);

/// Who takes a server away has the stack for itself. Heartbeats are quick, so that nobody waits long for one.
static STACK: LazyLock<RwLock<Stack>> = LazyLock::new(|| RwLock::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        kafka: false,
        redis_user: true,
        catalogue: Some(catalogue_of(&[
            "LAMP", "VASE", "BOWL", "CROWD", "AWAY", "CUT", "H2", "X-0", "X-1", "X-2", "X-3",
            "X-4", "X-5", "X-6", "X-7",
        ])?),
        environment: environment_of(&[("HOLDFAST_STREAM__HEARTBEAT_MS", "200")]),
        ..StackOptions::default()
    })
}

fn shop(stack: &Stack) -> Shop {
    Shop::of(&stack.proxy)
}

/// How many subscribe to a product's channel at Redis.
fn subscribed(stack: &Stack, sku: &str) -> Result<u64> {
    let channel = format!("inventory.updated:inv:{{{sku}}}");
    let mut redis = stack.redis.connection()?;
    let (_, count): (String, u64) = redis::cmd("PUBSUB")
        .arg("NUMSUB")
        .arg(channel)
        .query(&mut redis)?;
    Ok(count)
}

async fn until_subscribed(stack: &Stack, sku: &str, wanted: u64) -> Result<()> {
    let what = format!("{wanted} subscriptions to {sku}");
    wait::until_async(what, PATIENCE, || async {
        Ok((subscribed(stack, sku)? == wanted).then_some(()))
    })
    .await
}

fn on_hand(stock: &Value) -> Option<i64> {
    stock["on_hand"].as_i64()
}
