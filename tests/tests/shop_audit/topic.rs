//! A topic that does not have everything any more, has it in the wrong place, or cannot be read.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::mysql::sessions;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{PARTITIONS, Stack};
use holdfast_tests::wait;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use sqlx::{Connection, MySqlConnection};

use crate::{Audit, PATIENCE, STACK, assert_sound, audit, audit_of_topic, sold, start};

/// Kafka's cleaner of logs looks every 15 s.
const CLEANED_WITHIN: Duration = Duration::from_secs(90);

impl Audit {
    /// What cannot be told of E.
    fn not_told(&self) -> String {
        self.report["verdicts"][4]["not_judged"].to_string()
    }
}

/// On a stack of its own: what Kafka has removed does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_has_removed_cannot_be_told_and_the_rest_can() -> Result<()> {
    let stack = start()?;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    for _ in 0..2 {
        sold(&buyer, "LAMP").await?;
    }
    assert_sound(&stack, &[]).await?;

    // Of each key only the last event is left, and the newest: their log is never compacted.
    compact(&stack).await?;
    wait::until_async("the topic to be compacted", CLEANED_WITHIN, || async {
        sold(&buyer, "VASE").await?;
        Shop::of(&stack.proxy).set_stock("VASE", 10).await?;
        let compacted = Audit::of(&stack, &["--wait", "30"]).await?;
        ensure!(compacted.code == 0, "{:#}", compacted.report);
        Ok(compacted
            .not_told()
            .contains("the topic begins at")
            .then_some(()))
    })
    .await?;

    // Nothing at all is left.
    let admin: AdminClient<DefaultClientContext> = config(&stack).create()?;
    let mut ends = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        ends.add_partition_offset(stack.topic(), partition, Offset::End)?;
    }
    let deleted = admin.delete_records(&ends, &AdminOptions::new()).await?;
    for partition in deleted.elements() {
        partition.error()?;
    }
    let emptied = audit(&stack, &[]).await?;
    let text = String::from_utf8_lossy(&emptied.stdout).into_owned();
    assert_eq!(emptied.status.code(), Some(0), "{text}");
    ensure!(
        text.contains("because nothing is left in a partition"),
        "{text}"
    );
    ensure!(text.contains("SOUND as far as it can be told"), "{text}");

    // What is missing in the middle of what is left is missed.
    stack.kafka.server()?.stop()?;
    let untold = sold(&buyer, "MUG").await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let delete = "DELETE FROM outbox WHERE message_key = ? AND event_type = 'PaymentProcessed'";
    let deleted = sqlx::query(delete)
        .bind(&untold)
        .execute(&mut mysql)
        .await?;
    ensure!(deleted.rows_affected() == 1);
    stack.kafka.start()?;
    let missing = Audit::of(&stack, &["--wait", "30"]).await?;
    let breach = |kind: &str| ("E".to_owned(), kind.to_owned(), untold.clone());
    assert_eq!(missing.breaches(), [breach("missing_event")]);

    // Nobody can say what came first of what is in two partitions.
    repeat_elsewhere(&stack, &untold).await?;
    let split = Audit::of(&stack, &[]).await?;
    assert_eq!(
        split.breaches(),
        [breach("in_two_partitions"), breach("missing_event")]
    );
    Ok(())
}

async fn compact(stack: &Stack) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(stack).create()?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(stack.topic()))
        .set("cleanup.policy", "compact,delete")
        .set("segment.ms", "100")
        .set("max.compaction.lag.ms", "100")
        .set("min.cleanable.dirty.ratio", "0.01");
    for changed in admin.alter_configs([&change], &AdminOptions::new()).await? {
        ensure!(changed.is_ok(), "{changed:?}");
    }
    Ok(())
}

/// Writes the first event of an order again, into another partition.
async fn repeat_elsewhere(stack: &Stack, order: &str) -> Result<()> {
    let reader: BaseConsumer = config(stack)
        .set("group.id", "repeater")
        .set("auto.offset.reset", "earliest")
        .create()?;
    reader.subscribe(&[stack.topic()])?;
    let event = wait::until("the order's first event", PATIENCE, || {
        let event = reader.poll(Duration::from_millis(100)).transpose()?;
        Ok(event.filter(|event| event.key() == Some(order.as_bytes())))
    })?;
    let headers = event.headers().context("an event has headers")?.detach();
    let record = FutureRecord::to(stack.topic())
        .partition((event.partition() + 1) % PARTITIONS)
        .key(order)
        .payload(event.payload().context("an event has a body")?)
        .headers(headers);
    let producer: FutureProducer = config(stack).create()?;
    let sent = producer.send(record, PATIENCE).await;
    sent.map(drop).map_err(|(error, _)| error.into())
}

fn config(stack: &Stack) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack.kafka.brokers());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_cannot_be_read_is_no_proof_of_anything() -> Result<()> {
    let stack = STACK.lock().await;
    sold(&Shop::of(&stack.proxy).guest().await?, "MUG").await?;
    assert_sound(&stack, &[]).await?;
    let refused = audit_of_topic(&stack, "no name", &[]).await?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");

    let nowhere = audit_of_topic(&stack, "nowhere", &[]).await?;
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
    let reader: BaseConsumer = config(&stack).create()?;
    let metadata = reader.fetch_metadata(None, PATIENCE)?;
    let is_made = metadata
        .topics()
        .iter()
        .any(|topic| topic.name() == "nowhere");
    ensure!(!is_made, "the audit has made a topic");

    // A broker that dies when the audit has asked for the ends of its topic, and waits for MySQL.
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    sqlx::raw_sql("LOCK TABLES inventory_logs WRITE")
        .execute(&mut mysql)
        .await?;
    let auditing = tokio::time::timeout(PATIENCE * 3, audit(&stack, &[]));
    let killing = async {
        wait::until_async("the audit to wait for MySQL", PATIENCE, || async {
            let mut onlooker = MySqlConnection::connect(&stack.database_url()).await?;
            let waits = sessions(&mut onlooker).await?.iter().any(|session| {
                let statement = session.statement.as_deref().unwrap_or_default();
                let state = session.state.as_deref().unwrap_or_default();
                statement.starts_with("SELECT CAST(COUNT(*) AS UNSIGNED) FROM inventory_logs")
                    && state.starts_with("Waiting")
            });
            Ok(waits.then_some(()))
        })
        .await?;
        stack.kafka.server()?.kill()?;
        sqlx::raw_sql("UNLOCK TABLES").execute(&mut mysql).await?;
        anyhow::Ok(())
    };
    let (audited, killed) = futures::join!(auditing, killing);
    killed?;
    stack.kafka.start()?;
    let audited = audited.context("the audit goes on waiting for Kafka")??;
    assert_eq!(audited.status.code(), Some(2), "{audited:?}");
    assert_sound(&stack, &[]).await
}
