//! The topic, read without a consumer group's offsets: whoever tails it leaves no trace.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use crate::config::Kafka;

/// How long a broker may take to say which partitions there are.
const PATIENCE: Duration = Duration::from_secs(5);

/// One event as it stands in Kafka.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// The order id, or the SKU of a stock event.
    pub key: String,
    /// Where it stands, as `partition:offset`.
    pub place: String,
    /// The CloudEvents headers and the content type.
    pub headers: Map<String, Value>,
    /// The JSON body; a string when it is no JSON.
    pub body: Value,
}

impl Message {
    /// What a header says; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// True for an event of that order, whatever the case its id is written in.
    pub fn is_about(&self, order: &str) -> bool {
        self.key.eq_ignore_ascii_case(order)
    }

    /// All there is, for other programs.
    pub fn to_json(&self) -> Value {
        json!({
            "type": self.header("ce_type"),
            "time": self.header("ce_time"),
            "key": self.key,
            "place": self.place,
            "headers": self.headers,
            "body": self.body,
        })
    }
}

/// All partitions of the topic.
pub(super) struct Reader {
    consumer: Arc<StreamConsumer<Quiet>>,
    partitions: usize,
    ended: Mutex<HashSet<i32>>,
    brokers: String,
}

impl Reader {
    /// Finds the topic and places itself at its beginning or its end.
    ///
    /// # Errors
    /// When no broker answers, or the topic does not exist yet.
    pub async fn open(config: &Kafka, from_beginning: bool) -> anyhow::Result<Self> {
        let consumer: StreamConsumer<Quiet> = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", "holdfast-events-tail")
            // The library wants a name for a group, though none is joined by assigning partitions.
            .set("group.id", "holdfast-events-tail")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create_with_context(Quiet)?;
        let consumer = Arc::new(consumer);
        let partitions = find_partitions(Arc::clone(&consumer), config).await?;
        let mut places = TopicPartitionList::new();
        let place = if from_beginning {
            Offset::Beginning
        } else {
            Offset::End
        };
        for partition in &partitions {
            places.add_partition_offset(&config.topic, *partition, place)?;
        }
        consumer
            .assign(&places)
            .context("cannot read the topic's partitions")?;
        Ok(Self {
            consumer,
            partitions: partitions.len(),
            ended: Mutex::default(),
            brokers: config.brokers.clone(),
        })
    }

    /// The next event. With `follow` it is waited for; without, `None` says that all were read. A
    /// broker that goes away is said so once on standard error, and waited for.
    pub async fn next(&self, follow: bool) -> Option<Message> {
        let mut told = false;
        loop {
            match self.consumer.recv().await {
                Ok(message) => return Some(read(&message)),
                Err(KafkaError::PartitionEOF(partition)) => {
                    if self.ended_everywhere(partition) && !follow {
                        return None;
                    }
                }
                Err(error) if !told => {
                    eprintln!(
                        "holdfast: kafka at {} does not answer ({error}); waiting for it",
                        self.brokers
                    );
                    told = true;
                }
                Err(_) => {}
            }
        }
    }

    fn ended_everywhere(&self, partition: i32) -> bool {
        let mut ended = self
            .ended
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        ended.insert(partition);
        ended.len() == self.partitions
    }
}

async fn find_partitions(
    consumer: Arc<StreamConsumer<Quiet>>,
    config: &Kafka,
) -> anyhow::Result<Vec<i32>> {
    let topic = config.topic.clone();
    let asked = spawn_blocking(move || consumer.fetch_metadata(Some(&topic), PATIENCE)).await?;
    let metadata = asked.map_err(|error| {
        anyhow!(
            "no Kafka broker answers at {} (kafka.brokers): {error}; orders go on without one, \
             and their events wait in the outbox until it answers",
            config.brokers
        )
    })?;
    let topic = metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == config.topic);
    let partitions: Vec<i32> = topic
        .into_iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    if partitions.is_empty() {
        bail!(
            "the topic '{}' (kafka.topic) does not exist yet at {}: 'holdfast serve' makes it",
            config.topic,
            config.brokers
        );
    }
    Ok(partitions)
}

fn read(message: &BorrowedMessage<'_>) -> Message {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let headers =
        headers.map(|header| (header.key.to_owned(), Value::from(header.value.map(text))));
    let body = message.payload().unwrap_or_default();
    Message {
        key: message.key().map(text).unwrap_or_default(),
        place: format!("{}:{}", message.partition(), message.offset()),
        headers: headers.collect(),
        body: serde_json::from_slice(body).unwrap_or_else(|_| Value::from(text(body))),
    }
}

/// What the library would log, `Reader` says in its own words or waits out.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}
