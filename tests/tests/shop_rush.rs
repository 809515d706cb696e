//! Ten shoppers, nine units, at once, twenty times over: nine buy, one is told what is left, and the books agree.

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use holdfast_tests::books::{self, Expected};
use holdfast_tests::saga_events::EventReader;
use holdfast_tests::shop::{GOOD_CARD, Reply, Shop};
use holdfast_tests::stack::{Stack, StackOptions};

const ROUNDS: usize = 20;
const SHOPPERS: usize = 10;
const UNITS: i64 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_units_go_to_nine_of_ten_shoppers_every_time() -> Result<()> {
    let catalogue = tempfile::Builder::new().suffix(".csv").tempfile()?;
    std::fs::write(catalogue.path(), catalogue_of_the_rounds())?;
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue.path().to_path_buf()),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let mut seen = Vec::new();
    for round in 1..=ROUNDS {
        let sku = sku(round);
        let expected = rush(&shop, &sku)
            .await
            .with_context(|| format!("round {round}"))?;
        books::settle(&stack, &reader, &sku, &expected, &mut seen).await?;
    }
    Ok(())
}

/// One round: everybody presses the button at once.
async fn rush(shop: &Shop, sku: &str) -> Result<Expected> {
    let shoppers = join_all((0..SHOPPERS).map(|_| shop.guest())).await;
    let shoppers = shoppers.into_iter().collect::<Result<Vec<_>>>()?;
    let purchases = shoppers.into_iter().map(|shopper| {
        let sku = sku.to_owned();
        tokio::spawn(async move { shopper.buy(&sku, 1, GOOD_CARD).await })
    });
    let mut expected = Expected {
        stocked: UNITS,
        ..Expected::default()
    };
    for reply in join_all(purchases).await {
        let reply: Reply = reply??;
        match reply.status {
            201 => {
                ensure!(
                    reply.body["status"] == "CONFIRMED",
                    "201 without a sale: {reply:?}"
                );
                let order = reply.body["order_id"]
                    .as_str()
                    .context("201 without an order id")?;
                expected.sold.insert(order.to_owned());
            }
            409 => {
                let line = &reply.body["lines"][0];
                ensure!(
                    reply.body["type"] == "/problems/out-of-stock",
                    "an odd refusal: {reply:?}"
                );
                ensure!(
                    line["sku"] == sku && line["requested"] == 1,
                    "an odd line: {reply:?}"
                );
                ensure!(
                    line["available"] == 0,
                    "something is left and was refused: {reply:?}"
                );
                expected.refused += 1;
            }
            _ => anyhow::bail!("neither sold nor sold out: {reply:?}"),
        }
    }
    ensure!(
        expected.sold.len() == 9 && expected.refused == 1,
        "not nine to one: {expected:?}"
    );
    Ok(expected)
}

fn sku(round: usize) -> String {
    format!("RUSH-{round:02}")
}

fn catalogue_of_the_rounds() -> String {
    let rows =
        (1..=ROUNDS).map(|round| format!("{},Lantern {round},,24.50,GBP,{UNITS}\n", sku(round)));
    std::iter::once("sku,name,description,price,currency,stock\n".to_owned())
        .chain(rows)
        .collect()
}
