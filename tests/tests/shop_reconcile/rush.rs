//! A reconciler that never rests, in a rush in which nothing is lost: it has nothing to correct.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use futures::future::{join, try_join_all};
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use reqwest::Method;
use serde_json::json;

use super::command::reconcile;

const SKUS: [&str; 3] = ["ANVIL", "BELL", "CLOCK"];
const ROUNDS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_shop_that_loses_nothing_is_left_alone() -> Result<()> {
    let settings = [
        // One walk after the other.
        ("HOLDFAST_RECONCILE__INTERVAL_MS", "1"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "1000"),
        ("HOLDFAST_RECONCILE__ORPHAN_AGE_MS", "1001"),
        ("HOLDFAST_HOLDS__TTL_MS", "500"),
    ];
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(&SKUS)?),
        environment: environment_of(&settings),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("ANVIL", 10_000).await?;
    let is_over = AtomicBool::new(false);
    let looked = std::thread::scope(|scope| {
        let looking = scope.spawn(|| look(&stack, &is_over));
        let runtime = tokio::runtime::Handle::current();
        let bought = tokio::task::block_in_place(|| runtime.block_on(crowd(&shop)));
        is_over.store(true, Ordering::Relaxed);
        let looked = looking.join();
        bought?;
        looked.map_err(|_| anyhow::anyhow!("a thread panicked"))?
    })?;
    ensure!(looked > 3, "the rush was over after {looked} looks");
    let log = std::fs::read_to_string(stack.proxy.server().home().path("log"))?;
    for corrected in [
        "the stock in redis was corrected",
        "a hold that nobody ended",
    ] {
        assert!(!log.contains(corrected), "the background task: {log}");
    }
    Ok(())
}

/// Looks all the time, and finds nothing. Answers how often.
fn look(stack: &Stack, is_over: &AtomicBool) -> Result<usize> {
    let mut looked = 0;
    while !is_over.load(Ordering::Relaxed) {
        let said = reconcile(&stack.proxy, &["--fix"])?;
        ensure!(said.wrong() == 0, "nothing was lost: {:?}", said.lines);
        looked += 1;
    }
    Ok(looked)
}

/// Buyers who pay, buyers who cannot, buyers who only hold, buyers who cancel, and a shop that changes its stock.
async fn crowd(shop: &Shop) -> Result<()> {
    let buyers = (0..12usize).map(|number| async move {
        let buyer = shop.guest().await?;
        for round in 0..ROUNDS {
            let sku = SKUS[(number + round) % SKUS.len()];
            match number % 4 {
                0 => drop(buyer.buy(sku, 1, DECLINED_CARD).await?),
                1 => {
                    let hold = json!({ "items": [{ "sku": sku, "quantity": 1 }], "ttl_ms": 300 });
                    drop(buyer.call(Method::POST, "/v1/holds", &hold).await?);
                }
                2 => {
                    let bought = buyer.buy(sku, 1, GOOD_CARD).await?;
                    if let (201, Ok(id)) = (bought.status, bought.id()) {
                        let path = format!("/v1/orders/{id}/cancel");
                        drop(buyer.call(Method::POST, &path, &json!({})).await?);
                    }
                }
                _ => drop(buyer.buy("ANVIL", 1, GOOD_CARD).await?),
            }
        }
        anyhow::Ok(())
    });
    let changes = async {
        for round in 0..ROUNDS {
            let change = json!({ "delta": if round % 2 == 0 { 7 } else { -3 }, "reason": "restocked",
                "adjustment_id": format!("delivery-{round}") });
            let path = format!("/v1/stock/{}/adjustments", SKUS[round % SKUS.len()]);
            drop(shop.call(Method::POST, &path, &change).await?);
        }
        anyhow::Ok(())
    };
    let (bought, changed) = join(try_join_all(buyers), changes).await;
    bought?;
    changed
}
