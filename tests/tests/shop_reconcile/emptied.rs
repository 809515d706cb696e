//! `FLUSHALL` while buyers hammer the shop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use futures::future::{join, try_join_all};
use holdfast_tests::books::{Books, Expected};
use holdfast_tests::saga_events::{EventReader, SagaEvent};
use holdfast_tests::shop::{GOOD_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;

use super::command::{reconcile, tell};

const PATIENCE: Duration = Duration::from_secs(30);
const BUYERS: usize = 16;
/// More than is sold.
const PLENTY: i64 = 100_000;
/// So few that they are gone before the end.
const SCARCE: i64 = 60;
const SKUS: [&str; 4] = ["HOT", "SCARCE", "WARM", "WHOLE"];

/// What the buyers of one SKU know.
#[derive(Default)]
struct Known {
    sold: BTreeSet<String>,
    refused: usize,
    unanswered: usize,
}

struct Rush {
    shop: Shop,
    sold: AtomicUsize,
    is_over: AtomicBool,
}

impl Rush {
    async fn buy(&self, sku: &str) -> Result<Known> {
        let mut known = Known::default();
        let mut buyer: Shopper = self.shop.guest().await?;
        while !self.is_over.load(Ordering::Relaxed) {
            let reply = buyer.buy(sku, 1, GOOD_CARD).await?;
            match (reply.status, reply.problem()) {
                (201, _) => {
                    known.sold.insert(reply.id()?.to_owned());
                    if sku != "SCARCE" {
                        self.sold.fetch_add(1, Ordering::Relaxed);
                    }
                }
                (409, "out-of-stock") => {
                    ensure!(sku == "SCARCE", "there are plenty: {reply:?}");
                    known.refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // Sessions are in Redis too.
                (401, _) => buyer = self.shop.guest().await?,
                (202 | 503, _) => known.unanswered += 1,
                _ => bail!("an odd answer: {reply:?}"),
            }
        }
        Ok(known)
    }

    /// Waits until forty more are sold, and tells how long that took.
    async fn goes_on(&self) -> Result<Duration> {
        let (started, enough) = (Instant::now(), self.sold.load(Ordering::Relaxed) + 40);
        wait::until_async("the shop to sell", PATIENCE, || async {
            Ok((self.sold.load(Ordering::Relaxed) >= enough).then_some(()))
        })
        .await?;
        Ok(started.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_whose_redis_is_emptied_goes_on_selling_rightly() -> Result<()> {
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
        ("HOLDFAST_RECONCILE__ORPHAN_AGE_MS", "4500"),
        ("HOLDFAST_RECONCILE__INTERVAL_MS", "1000"),
    ];
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&SKUS)?),
        environment: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    for sku in SKUS {
        let units = if sku == "SCARCE" { SCARCE } else { PLENTY };
        shop.set_stock(sku, units).await?;
    }
    let rush = Rush {
        shop,
        sold: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let disturbance = async {
        let outcome = async {
            for _ in 0..3 {
                rush.goes_on().await?;
                tell::<()>(&stack, &["FLUSHALL"])?;
                let took = rush.goes_on().await?;
                eprintln!("forty more were sold {took:?} after FLUSHALL");
            }
            anyhow::Ok(())
        };
        let outcome = outcome.await;
        rush.is_over.store(true, Ordering::Relaxed);
        outcome
    };
    let buyers = (0..BUYERS).map(|number| rush.buy(SKUS[number % SKUS.len()]));
    let (known, disturbed) = join(try_join_all(buyers), disturbance).await;
    disturbed?;
    let known = known?;

    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let mut seen = Vec::new();
    for (number, sku) in SKUS.into_iter().enumerate() {
        let mut expected = Expected {
            stocked: if sku == "SCARCE" { SCARCE } else { PLENTY },
            ..Expected::default()
        };
        let of_sku = known.iter().skip(number).step_by(SKUS.len());
        for known in of_sku {
            expected.sold.extend(known.sold.iter().cloned());
            expected.refused += known.refused;
            expected.unanswered += known.unanswered;
        }
        audit(&stack, sku, expected, &reader, &mut seen).await?;
    }
    let rest = reconcile(&stack.proxy, &[])?;
    assert_eq!((rest.code, rest.wrong()), (0, 0), "{:?}", rest.lines);
    Ok(())
}

/// Waits until the books of a SKU agree. A ledger that was made anew counts its sales from then on, and a buyer who was
/// refused after his order was written has an order and no refusal in Kafka.
async fn audit(
    stack: &Stack,
    sku: &str,
    mut expected: Expected,
    reader: &EventReader,
    seen: &mut Vec<SagaEvent>,
) -> Result<()> {
    let (started, told) = (Instant::now(), expected.refused);
    loop {
        while let Some(event) = reader.next(Duration::from_millis(50))? {
            seen.push(event);
        }
        let mut books = Books::read(stack, sku, seen).await?;
        books.ledger.sold = expected.stocked - books.ledger.on_hand;
        let refusals = books.events.keys();
        expected.refused = refusals
            .filter(|id| !books.orders.contains_key(*id))
            .count();
        let faults = books.faults(&expected);
        if faults.is_empty() && expected.refused <= told {
            return Ok(());
        }
        let refused = expected.refused;
        ensure!(
            started.elapsed() < PATIENCE,
            "the books of {sku} do not agree, {refused} refusals of {told}: {faults:#?}"
        );
    }
}
