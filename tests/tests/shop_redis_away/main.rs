//! A shop whose Redis is away: what goes on without it, what is refused at once, and how it comes back.

mod orders;
mod routes;
mod sessions;
mod table;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::data::Home;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{Reply, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use tokio::sync::Mutex;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One test at a time takes its Redis away.
static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LAST", "MANY", "SEEN"])?),
        environment: environment_of(&[
            ("HOLDFAST_REDIS__BREAKER_OPEN_MS", "200"),
            ("HOLDFAST_JWT__KEY_FILE", &jwt_key()?),
            // The load of the table is that of one shopper.
            ("HOLDFAST_LIMITS__SESSION_REQUESTS", "0"),
            ("HOLDFAST_LIMITS__USER_REQUESTS", "0"),
        ]),
        ..StackOptions::default()
    })
}

/// A file with a key for access tokens.
fn jwt_key() -> Result<String> {
    let path = Home::for_test("jwt")?.path("key");
    std::fs::write(&path, "a key of a test, and of nothing else\n")?;
    Ok(path.to_str().context("a path in UTF-8")?.to_owned())
}

/// Does `act` while Redis hangs, and waits until the shop sells again afterwards.
async fn while_redis_hangs<T>(stack: &Stack, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let redis = stack.redis.server()?;
    redis.signal(Signal::SIGSTOP)?;
    let acted = async {
        given_up(&stack.proxy).await?;
        act().await
    };
    let acted = acted.await;
    redis.signal(Signal::SIGCONT)?;
    sells_again(&stack.proxy).await?;
    acted
}

/// Asks for sessions until the proxy has given Redis up.
async fn given_up(proxy: &Proxy) -> Result<()> {
    let shop = Shop::of(proxy);
    wait::until_async("redis to be given up", PATIENCE, || async {
        let _refused = shop.guest().await;
        let open = proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((open == 1.0).then_some(()))
    })
    .await
}

/// Waits until the proxy sells by the counts of Redis.
async fn sells_again(proxy: &Proxy) -> Result<()> {
    wait::until_async("the shop to sell again", PATIENCE, || async {
        let sells = proxy.metric("holdfast_redis_sells").await?;
        let open = proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((sells == 1.0 && open == 0.0).then_some(()))
    })
    .await
}

/// Waits until Redis counts this product: the test before may have emptied it.
async fn is_counted(stack: &Stack, sku: &str) -> Result<()> {
    wait::until_async(format!("redis to count {sku}"), PATIENCE, || async {
        let mut redis = stack.redis.connection()?;
        let key = format!("inv:{{{sku}}}");
        let counted: bool = redis::cmd("EXISTS").arg(key).query(&mut redis)?;
        Ok(counted.then_some(()))
    })
    .await
}

/// Whether it was refused with 503 and when to come again.
fn is_refused_for_now(reply: &Reply) -> bool {
    reply.status == 503
        && reply.problem() == "unavailable"
        && reply.headers.contains_key("retry-after")
}

/// Whether Redis has this session.
fn is_in_redis(stack: &Stack, session: &str) -> Result<bool> {
    let mut redis = stack.redis.connection()?;
    let key = format!("session:{session}");
    let found = redis::cmd("EXISTS").arg(key).query(&mut redis);
    found.context("redis does not say whether it has a session")
}
