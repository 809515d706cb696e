//! A shop whose Redis is away: what goes on without it, what is refused at once, and how it comes back.

mod sessions;

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_tests::redis::RedisOptions;
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
        redis: RedisOptions::default(),
        kafka: false,
        catalogue: Some(catalogue_of(&["AWAY-1", "AWAY-2"])?),
        environment: environment_of(&[("HOLDFAST_REDIS__BREAKER_OPEN_MS", "200")]),
        ..StackOptions::default()
    })
}

/// Does `act` while Redis hangs, and waits until the shop sells again afterwards.
async fn while_redis_hangs<T>(stack: &Stack, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let redis = stack.redis.server()?;
    redis.signal(Signal::SIGSTOP)?;
    let acted = async {
        given_up(stack).await?;
        act().await
    };
    let acted = acted.await;
    redis.signal(Signal::SIGCONT)?;
    sells_again(stack).await?;
    acted
}

/// Asks for carts until the proxy has given Redis up.
async fn given_up(stack: &Stack) -> Result<()> {
    let guest = Shop::of(&stack.proxy);
    wait::until_async("redis to be given up", PATIENCE, || async {
        let _refused = guest.guest().await;
        let open = stack.proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((open == 1.0).then_some(()))
    })
    .await
}

/// Waits until orders are sold by the counts of Redis.
async fn sells_again(stack: &Stack) -> Result<()> {
    wait::until_async("the shop to sell again", PATIENCE, || async {
        let sells = stack.proxy.metric("holdfast_redis_sells").await?;
        let open = stack.proxy.metric("holdfast_redis_breaker_open").await?;
        Ok((sells == 1.0 && open == 0.0).then_some(()))
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
