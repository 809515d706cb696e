//! The saga's events, read back from Kafka.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// One event as a consumer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SagaEvent {
    /// What the topic orders by: the order id, or the SKU of a stock event.
    pub key: String,
    /// `ce_type`, such as `OrderConfirmed`.
    pub event_type: String,
    /// `ce_id`, by which a consumer notices an event that arrives twice.
    pub id: String,
    /// The JSON body.
    pub body: Value,
}

/// Reads a topic from a point on, every partition, without a consumer group.
pub struct EventReader {
    consumer: BaseConsumer,
}

impl EventReader {
    /// Reads all that the topic has.
    pub fn from_start(brokers: &str, topic: &str) -> Result<EventReader> {
        EventReader::new(brokers, topic, |_, _| Ok(Offset::Beginning))
    }

    /// Reads what is written from now on.
    pub fn from_now(brokers: &str, topic: &str) -> Result<EventReader> {
        // The end is looked up now: Offset::End would be resolved at the first fetch, after an event or two.
        EventReader::new(brokers, topic, |consumer, partition| {
            Ok(Offset::Offset(
                consumer.fetch_watermarks(topic, partition, PATIENCE)?.1,
            ))
        })
    }

    fn new(
        brokers: &str,
        topic: &str,
        start: impl Fn(&BaseConsumer, i32) -> Result<Offset>,
    ) -> Result<EventReader> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // librdkafka wants a group's name even of a reader that joins none.
            .set("group.id", "holdfast-tests")
            .set("enable.auto.commit", "false")
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create()?;
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        let mut assignment = TopicPartitionList::new();
        for partition in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            let offset = start(&consumer, partition.id())?;
            assignment.add_partition_offset(topic, partition.id(), offset)?;
        }
        if assignment.count() == 0 {
            bail!("the topic {topic} does not exist");
        }
        consumer.assign(&assignment)?;
        Ok(EventReader { consumer })
    }

    /// The next event, waiting at most this long.
    pub fn next(&self, patience: Duration) -> Result<Option<SagaEvent>> {
        let message = match self.consumer.poll(patience) {
            Some(Ok(message)) => message,
            None => return Ok(None),
            // A broker that is away may come back; the consumer connects again by itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            ))) => return Ok(None),
            Some(Err(error)) => return Err(error.into()),
        };
        let header = |name: &str| {
            let headers = message.headers()?;
            let value = headers.iter().find(|header| header.key == name)?.value?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        Ok(Some(SagaEvent {
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            event_type: header("ce_type").unwrap_or_default(),
            id: header("ce_id").unwrap_or_default(),
            body: serde_json::from_slice(message.payload().unwrap_or_default())?,
        }))
    }

    /// Reads until `enough` is satisfied by what has been read; an error with what there was when the deadline passes.
    pub fn read_until(
        &self,
        deadline: Duration,
        enough: impl Fn(&[SagaEvent]) -> bool,
    ) -> Result<Vec<SagaEvent>> {
        let started = Instant::now();
        let mut events = Vec::new();
        while !enough(&events) {
            if started.elapsed() > deadline {
                let seen: Vec<String> = events
                    .iter()
                    .map(|event| format!("{} {}", event.key, event.event_type))
                    .collect();
                bail!("after {deadline:?} only these events had come: {seen:#?}");
            }
            events.extend(self.next(Duration::from_millis(100))?);
        }
        Ok(events)
    }
}
