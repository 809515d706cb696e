//! The catalogue: looked at through its cache, searched, changed by those who run the shop.

mod away;
mod changing;
mod keeping;
mod looking;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{Reply, Shop, send};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Each test has products of its own: those that it makes, or those that begin with its name.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

/// How long a change may take to be seen everywhere. What is kept in a process would last for
/// ten minutes, so whoever sees the change earlier was told of it.
const AT_ONCE: Duration = Duration::from_secs(10);
const KEPT_FOR_LONG: [(&str, &str); 2] = [
    ("HOLDFAST_CATALOGUE__LOCAL_TTL_MS", "600000"),
    ("HOLDFAST_CATALOGUE__REDIS_TTL_MS", "86400000"),
];

fn start() -> Result<Stack> {
    let skus = ["HEARD-1", "FLIGHT-1", "STALE-1", "TAGS-1", "TAGS-2"];
    Stack::start(StackOptions {
        kafka: false,
        redis_user: true,
        catalogue: Some(catalogue_of(&skus)?),
        environment: environment_of(&KEPT_FOR_LONG),
        ..StackOptions::default()
    })
}

fn shop() -> Shop {
    Shop::of(&STACK.proxy)
}

/// A product as those who run the shop say it.
fn form(name: &str, price_minor: i64) -> Value {
    json!({ "name": name, "description": "", "price_minor": price_minor, "currency": "GBP" })
}

async fn put(sku: &str, form: &Value) -> Result<Reply> {
    let path = format!("/v1/products/{sku}");
    shop().call(Method::PUT, &path, form).await
}

async fn get(proxy: &Proxy, path: &str) -> Result<Reply> {
    send(Client::new().get(format!("{}{path}", proxy.url()))).await
}

/// What a proxy shows of a product: its name, or nothing.
async fn name_at(proxy: &Proxy, sku: &str) -> Result<Option<String>> {
    let reply = get(proxy, &format!("/v1/products/{sku}")).await?;
    Ok(reply.body["name"].as_str().map(str::to_owned))
}

async fn until_named(proxy: &Proxy, sku: &str, name: Option<&str>) -> Result<()> {
    wait::until_async(format!("{sku} to be {name:?}"), AT_ONCE, || async {
        Ok((name_at(proxy, sku).await?.as_deref() == name).then_some(()))
    })
    .await
}

/// The SKUs of a whole list, read page by page.
async fn all(query: &str, limit: u32) -> Result<Vec<String>> {
    let (mut skus, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/products?limit={limit}{query}{after}");
        let page = get(&STACK.proxy, &path).await?;
        let products = page.body["products"].as_array();
        let products = products.with_context(|| format!("no list: {page:?}"))?;
        assert!(products.len() <= limit as usize);
        skus.extend(
            products
                .iter()
                .filter_map(|product| product["sku"].as_str().map(str::to_owned)),
        );
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(skus),
        }
    }
}
