//! Carts: emptied by the order that buys them and by no other, merged at login, and losing nothing of what two tabs do.

mod emptied;
mod gone;
mod limits;
mod merged;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::shop::{Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use redis::Connection;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;

const PATIENCE: Duration = Duration::from_secs(30);
/// At most so many units of a product are in a cart.
const MOST: i64 = 1_000_000;

/// The test that kills the proxy has it for itself.
static STACK: LazyLock<RwLock<Stack>> = LazyLock::new(|| RwLock::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
    ];
    Stack::start(StackOptions {
        kafka: false,
        redis_user: true,
        catalogue: Some(catalogue_of(&["LAMP", "VASE", "BOWL", "FAD", "PRICED"])?),
        environment: environment_of(&settings),
        ..StackOptions::default()
    })
}

async fn add(shopper: &Shopper, sku: &str, quantity: i64) -> Result<()> {
    let item = json!({ "sku": sku, "quantity": quantity });
    let added = shopper.call(Method::POST, "/v1/cart/items", &item).await?;
    ensure!(added.status == 200, "{sku} is not added: {added:?}");
    Ok(())
}

/// What is in the cart, by SKU.
async fn cart(shopper: &Shopper) -> Result<BTreeMap<String, i64>> {
    let shown = shopper.get("/v1/cart").await?;
    let lines = shown.body["lines"]
        .as_array()
        .with_context(|| format!("no cart: {shown:?}"))?;
    let line = |line: &Value| Some((line["sku"].as_str()?.to_owned(), line["quantity"].as_i64()?));
    Ok(lines.iter().filter_map(line).collect())
}

fn of(lines: &[(&str, i64)]) -> BTreeMap<String, i64> {
    let owned = |(sku, quantity): &(&str, i64)| (sku.to_string(), *quantity);
    lines.iter().map(owned).collect()
}

async fn becomes(shopper: &Shopper, lines: &[(&str, i64)]) -> Result<()> {
    let wanted = of(lines);
    let mut last = BTreeMap::new();
    let met = wait::until_async(format!("a cart of {wanted:?}"), PATIENCE, || async {
        let cart = cart(shopper).await?;
        Ok((cart == wanted).then_some(()))
    })
    .await;
    if met.is_err() {
        last = cart(shopper).await?;
    }
    met.with_context(|| format!("it is {last:?}"))
}

/// The key of a shopper's cart.
fn key(shopper: &Shopper) -> Result<String> {
    let owner = shopper.session()["owner"].as_str().context("an owner")?;
    Ok(format!("cart:{{{owner}}}"))
}

fn shop(stack: &Stack) -> Shop {
    Shop::of(&stack.proxy)
}

fn redis(stack: &Stack) -> Result<Connection> {
    stack.redis.connection()
}
