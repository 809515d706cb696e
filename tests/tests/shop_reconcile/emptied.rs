//! `FLUSHALL` while buyers hammer the shop.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::{join, try_join_all};
use holdfast_tests::books::{Books, Expected};
use holdfast_tests::saga_events::{EventReader, SagaEvent};
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;

use super::buyers::Market;
use super::command::{reconcile, tell};

const PATIENCE: Duration = Duration::from_secs(30);
const BUYERS: usize = 16;
/// More than is sold.
const PLENTY: i64 = 100_000;
/// So few that they are gone before the end.
const SCARCE: i64 = 60;
const SKUS: [&str; 4] = ["HOT", "SCARCE", "WARM", "WHOLE"];

/// Waits until forty more are sold, and tells how long that took.
async fn goes_on(market: &Market) -> Result<Duration> {
    let (started, enough) = (Instant::now(), market.sold.load(Ordering::Relaxed) + 40);
    wait::until_async("the shop to sell", PATIENCE, || async {
        Ok((market.sold.load(Ordering::Relaxed) >= enough).then_some(()))
    })
    .await?;
    Ok(started.elapsed())
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
        environment: environment_of(&settings),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    for sku in SKUS {
        let units = if sku == "SCARCE" { SCARCE } else { PLENTY };
        shop.set_stock(sku, units).await?;
    }
    let market = Market::open(shop);
    let disturbance = async {
        let outcome = async {
            for _ in 0..3 {
                goes_on(&market).await?;
                tell::<()>(&stack, &["FLUSHALL"])?;
                let took = goes_on(&market).await?;
                eprintln!("forty more were sold {took:?} after FLUSHALL");
            }
            anyhow::Ok(())
        };
        let outcome = outcome.await;
        market.is_over.store(true, Ordering::Relaxed);
        outcome
    };
    let buyers = (0..BUYERS).map(|number| market.buy(move || SKUS[number % SKUS.len()].to_owned()));
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
            ensure!(
                sku == "SCARCE" || known.refused == 0,
                "there are plenty of {sku}"
            );
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
