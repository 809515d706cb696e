//! Shoppers who buy and look without a pause, each at one proxy, and know what they were told.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use holdfast_tests::data::Home;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop, Shopper};
use holdfast_tests::wait;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// What everybody buys; there is more than enough.
pub const SKU: &str = "MUG";
const BUYERS: usize = 3;
/// Between two purchases and between two looks of one shopper.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than a proxy's own deadline for a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// A purchase whose end is not known by then fails the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An order that was answered 201.
struct Sale {
    proxy: usize,
    id: String,
    /// When the request that got the answer was sent.
    sent: Instant,
}

/// What the shoppers know.
#[derive(Default)]
struct Known {
    sales: Mutex<Vec<Sale>>,
    /// Looks at the catalogue, or at an order, that did not show it.
    blind: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// The load, until it is ended.
pub struct Load {
    known: Arc<Known>,
    proxies: usize,
    shoppers: Vec<JoinHandle<Result<()>>>,
}

/// What came of it.
pub struct Outcome {
    /// The file with the orders that were acknowledged.
    pub acknowledged: PathBuf,
    /// How many they are.
    pub sold: usize,
}

impl Load {
    /// Begins to buy and to look at each of the proxies.
    pub async fn start(proxies: &[&Proxy]) -> Result<Load> {
        let known = Arc::new(Known::default());
        let mut shoppers = Vec::new();
        for (at, proxy) in proxies.iter().enumerate() {
            let guest = Shop::of(proxy).guest().await?;
            for _ in 0..BUYERS {
                shoppers.push(tokio::spawn(buy(known.clone(), guest.clone(), at)));
            }
            let order = guest.buy(SKU, 1, GOOD_CARD).await?;
            let paths = vec![
                "/v1/products".to_owned(),
                format!("/v1/orders/{}", order.id()?),
            ];
            shoppers.push(tokio::spawn(look(known.clone(), guest, paths)));
        }
        Ok(Load {
            known,
            proxies: proxies.len(),
            shoppers,
        })
    }

    /// Waits until each proxy has sold something that was asked for after `since`; says how long after it the last was.
    pub async fn sells(&self, since: Instant) -> Result<Duration> {
        wait::until_async("each proxy to sell again", PATIENCE, async || {
            self.check()?;
            let sales = lock(&self.known.sales);
            let sells = |proxy| {
                sales
                    .iter()
                    .any(|sale| sale.proxy == proxy && sale.sent >= since)
            };
            Ok((0..self.proxies).all(sells).then(|| since.elapsed()))
        })
        .await
    }

    /// Waits until so many more were sold.
    pub async fn sells_more(&self, more: usize) -> Result<()> {
        let wanted = lock(&self.known.sales).len() + more;
        wait::until_async(format_args!("{more} more orders"), PATIENCE, async || {
            self.check()?;
            Ok((lock(&self.known.sales).len() >= wanted).then_some(()))
        })
        .await
    }

    /// Ends it. Fails when anybody was not shown the catalogue or an order, or not told what became of an order.
    pub async fn end(self) -> Result<Outcome> {
        self.known.is_over.store(true, Ordering::Relaxed);
        for shopper in self.shoppers {
            shopper.await??;
        }
        let blind = lock(&self.known.blind);
        ensure!(
            blind.is_empty(),
            "{} looks failed: {:#?}",
            blind.len(),
            blind.iter().take(5).collect::<Vec<_>>()
        );
        let acknowledged = Home::for_test("acknowledged")?.path("orders");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&acknowledged)?;
        let sales = lock(&self.known.sales);
        for sale in sales.iter() {
            writeln!(file, "{}", sale.id)?;
        }
        let sold = sales.len();
        Ok(Outcome { acknowledged, sold })
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.shoppers.iter().any(JoinHandle::is_finished),
            "a shopper has given up"
        );
        Ok(())
    }
}

async fn buy(known: Arc<Known>, shopper: Shopper, proxy: usize) -> Result<()> {
    while !known.is_over.load(Ordering::Relaxed) {
        let key = Uuid::new_v4().to_string();
        let begun = Instant::now();
        loop {
            ensure!(
                begun.elapsed() < PATIENCE,
                "nobody says what became of an order"
            );
            let sent = Instant::now();
            let order = shopper.order(&[(SKU, 1)], GOOD_CARD, Some(&key));
            // Without an answer the same is asked again, as a client would.
            if let Ok(Ok(reply)) = timeout(ANSWER_WITHIN, order).await {
                if reply.status == 201 {
                    let id = reply.id()?.to_owned();
                    lock(&known.sales).push(Sale { proxy, id, sent });
                    break;
                }
                if is_decided(&reply) {
                    break;
                }
            }
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Whether the same request would get the same answer again.
fn is_decided(reply: &Reply) -> bool {
    let replayed = reply.headers.get("idempotency-replayed");
    replayed.is_some_and(|value| value == "true") && reply.status != 202
}

async fn look(known: Arc<Known>, shopper: Shopper, paths: Vec<String>) -> Result<()> {
    for path in paths.iter().cycle() {
        if known.is_over.load(Ordering::Relaxed) {
            break;
        }
        let seen = match timeout(ANSWER_WITHIN, shopper.get(path)).await {
            Ok(Ok(reply)) if reply.status == 200 => shown(&reply),
            Ok(Ok(reply)) => Err(anyhow::anyhow!("{} {}", reply.status, reply.body)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(anyhow::anyhow!("no answer")),
        };
        if let Err(error) = seen {
            lock(&known.blind).push(format!("{path}: {error:#}"));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

fn shown(reply: &Reply) -> Result<()> {
    if reply.id().is_ok() {
        return Ok(());
    }
    let products = reply.body["products"].as_array().context("no products")?;
    if !products.iter().any(|product| product["sku"] == SKU) {
        bail!("{SKU} is not among them: {}", reply.body);
    }
    Ok(())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
