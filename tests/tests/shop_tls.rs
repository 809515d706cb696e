//! A shop whose Redis was started from redis-conf/tls.conf, and says nothing in the clear.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::certificates::Certificates;
use holdfast_tests::data::Home;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::shape::Shape;
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::json;
use tokio::task::block_in_place;

const PATIENCE: Duration = Duration::from_secs(60);
/// Some are on each node of a cluster.
const SKUS: [&str; 4] = ["CLOCK", "BOWL", "EASEL", "HOOK"];

/// The proxy comes as the user `proxy` in either shape.
fn start(redis_shape: Shape) -> Result<Stack> {
    let certificates = Certificates::make(&Home::for_test("tls")?)?;
    let authority = certificates.authority.to_str().context("a path in UTF-8")?;
    Stack::start(StackOptions {
        redis_shape,
        redis: RedisOptions {
            tls: Some(certificates.clone()),
            ..RedisOptions::default()
        },
        redis_user: redis_shape == Shape::Standalone,
        catalogue: Some(catalogue_of(&SKUS)?),
        environment: environment_of(&[("HOLDFAST_REDIS__TLS_CA_FILE", authority)]),
        ..StackOptions::default()
    })
}

/// Holds, carts, orders, sessions and messages go through it.
async fn is_served(stack: &Stack) -> Result<()> {
    let shop = Shop::of(&stack.proxy);
    let shopper = shop.guest().await?;
    for sku in SKUS {
        let item = json!({ "sku": sku, "quantity": 1 });
        let added = shopper.call(Method::POST, "/v1/cart/items", &item).await?;
        ensure!(added.status == 200, "{added:?}");
    }
    let of_the_cart = json!({ "cart": true, "payment": { "card": GOOD_CARD } });
    let bought = shopper
        .call(Method::POST, "/v1/orders", &of_the_cart)
        .await?;
    ensure!(bought.status == 201, "{bought:?}");
    wait::until_async("the cart to be empty", PATIENCE, || async {
        let cart = shopper.get("/v1/cart").await?;
        let lines = cart.body["lines"].as_array().map(Vec::len);
        Ok((lines == Some(0)).then_some(()))
    })
    .await?;
    for sku in SKUS {
        let stock = shop.stock(sku).await?;
        ensure!(stock["available"] == 9, "{stock:?}");
    }
    Ok(())
}

/// Nobody is heard who does not speak TLS.
fn is_silent_in_the_clear(redis: &Redis) -> Result<()> {
    let url = format!("redis://127.0.0.1:{}", redis.port()?);
    let client = redis::Client::open(url)?;
    let answered = client
        .get_connection_with_timeout(Duration::from_secs(5))
        .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
    ensure!(answered.is_err(), "{answered:?}");
    Ok(())
}

fn reconcile(stack: &Stack) -> Result<()> {
    let said = stack.proxy.run(&["reconcile"])?;
    ensure!(said.contains("4 products compared: 0 wrong"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_server_that_was_started_from_tls_conf_serves_the_shop() -> Result<()> {
    let stack = block_in_place(|| start(Shape::Standalone))?;
    is_served(&stack).await?;
    block_in_place(|| {
        is_silent_in_the_clear(&stack.redis)?;
        reconcile(&stack)?;
        stack.audit(&["--wait", "60", "--at-rest"])?;
        // Nor does the proxy open to one that nobody vouches for.
        let other = Certificates::make(&Home::for_test("tls-other")?)?.authority;
        let other = other.to_str().context("a path in UTF-8")?;
        let settings = [("HOLDFAST_REDIS__TLS_CA_FILE", other)];
        let unvouched = stack.proxy.run_with(&settings, &["reconcile"]);
        ensure!(unvouched.is_err(), "{unvouched:?}");
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_a_cluster_speak_tls_and_a_failover_does_not_change_that() -> Result<()> {
    let stack = block_in_place(|| start(Shape::Cluster))?;
    is_served(&stack).await?;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let cluster = stack.cluster()?;
    block_in_place(|| {
        for node in cluster.nodes() {
            is_silent_in_the_clear(node)?;
        }
        reconcile(&stack)?;
        stack.audit(&["--wait", "60", "--at-rest"])?;
        // Its replica becomes a primary only if it was in step, over TLS as well.
        cluster.wait_until_well()?;
        cluster.primaries()[0].server()?.kill()
    })?;
    let all: Vec<_> = SKUS.iter().map(|sku| (*sku, 1)).collect();
    wait::until_async("orders of all nodes again", PATIENCE, || async {
        let bought = buyer.order(&all, GOOD_CARD, None).await?;
        Ok((bought.status == 201).then_some(()))
    })
    .await?;
    block_in_place(|| {
        cluster.primaries()[0].start_again()?;
        cluster.wait_until_well()?;
        stack.audit(&["--wait", "60", "--at-rest"]).map(drop)
    })
}
