//! Kafka is away: orders go on, their events wait, and arrive when a broker appears.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::books::{self, Expected};
use holdfast_tests::saga_events::EventReader;
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{PARTITIONS, Stack, StackOptions};
use holdfast_tests::wait;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sqlx::{Connection, MySqlConnection};

const SKU: &str = "TEA-CADDY";
const STOCKED: i64 = 40;
const PATIENCE: Duration = Duration::from_secs(60);

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

    until_relayed(&stack).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_deleted_and_made_again_takes_events_again() -> Result<()> {
    let stack = Stack::start(StackOptions::default())?;
    let shop = Shop::of(&stack.proxy);
    buy_three(&shop, &mut Expected::default()).await?;
    until_relayed(&stack).await?;

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack.kafka.brokers());
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    for deleted in admin
        .delete_topics(&[stack.topic()], &AdminOptions::new())
        .await?
    {
        ensure!(deleted.is_ok(), "{deleted:?}");
    }
    let mut expected = Expected::default();
    buy_three(&shop, &mut expected).await?;
    stack.kafka.create_topic(stack.topic(), PARTITIONS)?;
    buy_three(&shop, &mut expected).await?;
    until_relayed(&stack).await?;

    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    wait::until("the events of six orders", PATIENCE, || {
        if let Some(event) = reader.next(Duration::from_millis(100))? {
            told.entry(event.key).or_default().push(event.event_type);
        }
        let mut orders = expected.sold.iter().map(|order| told.get(order));
        Ok(orders
            .all(|told| told.is_some_and(|told| *told == books::SOLD))
            .then_some(()))
    })
}

async fn until_relayed(stack: &Stack) -> Result<()> {
    wait::until_async("the outbox to be empty", PATIENCE, || async {
        Ok((waiting(stack).await? == 0).then_some(()))
    })
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
