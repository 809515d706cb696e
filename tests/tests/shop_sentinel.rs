//! A shop whose Redis stands under Sentinel: whatever becomes of the primary, another takes its place, nothing is sold
//! twice, and who comes back is not written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::redis::Redis;
use holdfast_tests::sentinel::{RedisUnderSentinel, SERVICE};
use holdfast_tests::shape::Shape;
use holdfast_tests::shop::{GOOD_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(60);
const SKU: &str = "KETTLE";
/// Between two orders of the load.
const PACE: Duration = Duration::from_millis(25);

/// Whoever keeps buying and touching a session while something happens, and remembers what was answered.
struct Load {
    stop: Arc<AtomicBool>,
    buying: tokio::task::JoinHandle<Result<Vec<String>>>,
}

impl Load {
    async fn start(shop: &Shop) -> Result<Self> {
        let buyer = shop.guest().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let buying = tokio::spawn(async move {
            let mut sold = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let reply = buyer.buy(SKU, 1, GOOD_CARD).await?;
                match reply.status {
                    201 => sold.push(reply.id()?.to_owned()),
                    503 | 504 => {}
                    _ => anyhow::bail!("an order was answered {reply:?}"),
                }
                tokio::time::sleep(PACE).await;
            }
            Ok(sold)
        });
        Ok(Self { stop, buying })
    }

    /// The orders that were acknowledged.
    async fn stop(self) -> Result<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        self.buying.await?
    }
}

/// Until Redis is reached and an order is sold again.
async fn until_back(shopper: &Shopper, what: &str) -> Result<()> {
    let began = Instant::now();
    let is_sold = async || {
        let reply = shopper.buy(SKU, 1, GOOD_CARD).await?;
        Ok((reply.status == 201).then_some(()))
    };
    wait::until_async("orders to be back", PATIENCE, is_sold).await?;
    println!("{what}: orders are back after {:?}", began.elapsed());
    Ok(())
}

/// How many holds a server was asked for since it began.
fn holds_asked_of(redis: &Redis) -> Result<i64> {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut redis.connection()?)?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_inv.mreserve:calls="));
    let calls = line.and_then(|line| line.split(',').next());
    Ok(calls.map_or(Ok(0), str::parse)?)
}

/// The shop's books are sound, and have every order that was acknowledged.
fn sound(stack: &Stack, acknowledged: &[String]) -> Result<()> {
    let file = stack.proxy.config_path().with_file_name("acknowledged");
    std::fs::write(&file, acknowledged.join("\n"))?;
    let file = file.to_str().context("a path that is no UTF-8")?;
    let options = ["--at-rest", "--wait", "30", "--acknowledged", file];
    stack.audit(&options).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_primary_takes_over_whatever_happens_to_the_first() -> Result<()> {
    let stack = Stack::start(StackOptions {
        redis_shape: Shape::Sentinel,
        catalogue: Some(catalogue_of(&[SKU])?),
        ..StackOptions::default()
    })?;
    let servers: &RedisUnderSentinel = stack.sentinel()?;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock(SKU, 100_000).await?;
    let shopper = shop.guest().await?;

    // Killed.
    let load = Load::start(&shop).await?;
    let first = Arc::clone(servers.primary()?);
    first.server()?.kill()?;
    until_back(&shopper, "killed").await?;
    first.start_again()?;

    // Stopped: its connections stand, and it comes back as if it had never been away.
    let stopped = Arc::clone(servers.primary()?);
    let before = holds_asked_of(&stopped)?;
    stopped.server()?.signal(Signal::SIGSTOP)?;
    until_back(&shopper, "stopped").await?;
    stopped.server()?.signal(Signal::SIGCONT)?;
    servers.wait_until_well()?;
    let asked = holds_asked_of(&stopped)? - before;
    // What lay in its connections when it was stopped, and nothing of what was sold since.
    ensure!(
        asked < 10,
        "{asked} holds were asked of the primary that came back"
    );

    // Cut off: it goes on being a primary to itself.
    let cut = Arc::clone(servers.primary()?);
    servers.cut(&cut)?;
    until_back(&shopper, "cut off").await?;
    servers.mend(&cut)?;

    // By hand while nothing is wrong, and after one of the Sentinels has died.
    let [one, others @ ..] = servers.sentinels() else {
        anyhow::bail!("there are no Sentinels");
    };
    others[0].server().kill()?;
    let demoted = Arc::clone(servers.primary()?);
    wait::until("a failover by hand", PATIENCE, || {
        // Refused as long as the Sentinel knows of no replica that is well.
        Ok(one.ask::<String>(&["FAILOVER", SERVICE]).ok())
    })?;
    servers.wait_for_another_primary(&demoted)?;
    until_back(&shopper, "by hand").await?;
    let switches = stack.proxy.metric("holdfast_redis_switches_total").await?;
    ensure!(switches >= 4.0, "{switches} switches were counted");

    // Without any Sentinel everything goes on with the primary that is known.
    for sentinel in servers.sentinels() {
        sentinel.server().kill()?;
    }
    for _ in 0..20 {
        let reply = shopper.buy(SKU, 1, GOOD_CARD).await?;
        ensure!(reply.status == 201, "without Sentinels: {reply:?}");
    }
    let sold = load.stop().await?;
    for sentinel in servers.sentinels() {
        sentinel.start_again()?;
    }

    println!("{} orders were acknowledged", sold.len());
    ensure!(sold.len() > 50, "only {} orders were sold", sold.len());
    sound(&stack, &sold)
}
