//! Kafka is away: orders go on, their events wait, and arrive when a broker appears.

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::books::{self, Expected};
use holdfast_tests::saga_events::EventReader;
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{Stack, StackOptions};
use sqlx::{Connection, MySqlConnection};

const SKU: &str = "TEA-CADDY";
const STOCKED: i64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_orders_sold_without_kafka_arrive_when_it_comes_and_comes_back() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka: false,
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    let mut expected = Expected {
        stocked: STOCKED,
        ..Expected::default()
    };

    // No broker was ever there.
    buy_three(&shop, &mut expected).await?;
    assert!(
        waiting(&stack).await? >= 15,
        "five events of each order wait in the outbox"
    );
    stack.start_kafka()?;
    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let mut seen = Vec::new();
    books::settle(&stack, &reader, SKU, &expected, &mut seen).await?;

    // The broker dies in the middle and comes back.
    if stack.kafka.is_private() {
        stack.kafka.server()?.kill()?;
        buy_three(&shop, &mut expected).await?;
        assert!(
            waiting(&stack).await? >= 15,
            "what Kafka has not acknowledged stays in the outbox"
        );
        stack.start_kafka()?;
        books::settle(&stack, &reader, SKU, &expected, &mut seen).await?;
    }

    holdfast_tests::wait::until_async(
        "the outbox to be empty",
        Duration::from_secs(30),
        || async { Ok((waiting(&stack).await? == 0).then_some(())) },
    )
    .await
}

async fn buy_three(shop: &Shop, expected: &mut Expected) -> Result<()> {
    for _ in 0..3 {
        let reply = shop.guest().await?.buy(SKU, 1, GOOD_CARD).await?;
        assert_eq!(reply.status, 201, "{reply:?}");
        expected.sold.insert(
            reply.body["order_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    Ok(())
}

/// How many events wait.
async fn waiting(stack: &Stack) -> Result<i64> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM outbox")
        .fetch_one(&mut mysql)
        .await?)
}
