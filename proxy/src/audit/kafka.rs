//! The topic of events, read from its beginning to where it ended when MySQL was read. Nothing is
//! committed: reading changes nothing for anybody else.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::Error;
use super::evidence::Evidence;
use super::evidence::events::{Message, Place};
use crate::config;

/// How long a broker may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so long it is asked again.
const ASKED_AGAIN: Duration = Duration::from_millis(100);

/// A reader of the topic. Its calls block.
pub struct Topic {
    consumer: BaseConsumer<Quiet>,
    name: String,
    partitions: Vec<i32>,
}

/// The end of each partition at one moment.
#[derive(Debug, Clone, Default)]
pub struct Ends(HashMap<i32, i64>);

impl Topic {
    /// Finds the topic and its partitions. One that does not exist yet has none.
    pub fn open(config: &config::Kafka) -> Result<Self, Error> {
        let consumer: BaseConsumer<Quiet> = ClientConfig::new()
            .set("bootstrap.servers", &config.brokers)
            .set("client.id", "holdfast-audit")
            // The library wants a name for a group, though none is joined by assigning partitions.
            .set("group.id", "holdfast-audit")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            // Where messages grow too old while they are read: the next that are there, not the end.
            .set("auto.offset.reset", "earliest")
            // Some 64 MB a partition would be read ahead otherwise.
            .set("queued.max.messages.kbytes", "8192")
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create_with_context(Quiet)?;
        let metadata = consumer.fetch_metadata(Some(&config.topic), PATIENCE)?;
        let topic = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == config.topic);
        let partitions = match topic.map(|topic| (topic.error(), topic.partitions())) {
            None => Vec::new(),
            Some((None, partitions)) => partitions.iter().map(|one| one.id()).collect(),
            Some((Some(error), _)) => match RDKafkaErrorCode::from(error) {
                RDKafkaErrorCode::UnknownTopicOrPartition => Vec::new(),
                code => return Err(KafkaError::MetadataFetch(code).into()),
            },
        };
        Ok(Self {
            consumer,
            name: config.topic.clone(),
            partitions,
        })
    }

    /// Where each partition ends now.
    pub fn ends(&self) -> Result<Ends, Error> {
        let ends = self
            .partitions
            .iter()
            .map(|partition| Ok((*partition, self.end(*partition)?)));
        Ok(Ends(ends.collect::<Result<_, KafkaError>>()?))
    }

    /// Where one partition ends now. A broker that has just come up says for a moment that nobody
    /// leads it.
    fn end(&self, partition: i32) -> Result<i64, KafkaError> {
        let asked = Instant::now();
        loop {
            match self
                .consumer
                .fetch_watermarks(&self.name, partition, PATIENCE)
            {
                Ok((_, end)) => return Ok(end),
                Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable,
                )) if asked.elapsed() < PATIENCE => std::thread::sleep(ASKED_AGAIN),
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds all events up to `last` to the evidence; those from `early` on are late.
    pub fn read(&self, early: &Ends, last: &Ends, evidence: &mut Evidence) -> Result<(), Error> {
        let mut places = TopicPartitionList::new();
        let mut left: HashMap<i32, Unread> = HashMap::new();
        for (partition, end) in last.0.iter().filter(|(_, end)| **end > 0) {
            places.add_partition_offset(&self.name, *partition, Offset::Beginning)?;
            let (next, end) = (0, *end);
            left.insert(*partition, Unread { next, end });
        }
        self.consumer.assign(&places)?;
        let mut heard = Instant::now();
        while !left.is_empty() {
            let message = match self.consumer.poll(PATIENCE) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(unread) = left.remove(&partition) {
                        let missing = unread.end - unread.next;
                        evidence.events.skip(partition, missing, i64::MAX);
                    }
                    continue;
                }
                // The consumer connects again by itself, and says each time that it cannot.
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
                ))) if heard.elapsed() < PATIENCE => continue,
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Error::KafkaSilent(PATIENCE)),
            };
            heard = Instant::now();
            let partition = message.partition();
            let Some(unread) = left.get_mut(&partition) else {
                continue;
            };
            // What the topic skips, it has had: an idempotent producer leaves no gaps.
            let time_ms = message.timestamp().to_millis().unwrap_or(i64::MAX);
            let offset = message.offset().min(unread.end);
            evidence
                .events
                .skip(partition, offset - unread.next, time_ms);
            unread.next = offset + 1;
            if offset < unread.end {
                let early_end = early.0.get(&partition).copied().unwrap_or_default();
                let place = if offset < early_end {
                    Place::Early
                } else {
                    Place::Late
                };
                add(&message, place, evidence);
            }
            if unread.next >= unread.end {
                left.remove(&partition);
            }
        }
        Ok(())
    }
}

/// What is still to be read of a partition.
struct Unread {
    next: i64,
    end: i64,
}

fn add(message: &BorrowedMessage<'_>, place: Place, evidence: &mut Evidence) {
    evidence.events.in_kafka += 1;
    let header = |name: &str| {
        let mut headers = message.headers()?.iter();
        let value = headers.find(|header| header.key == name)?.value?;
        std::str::from_utf8(value).ok()
    };
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    let added = match (key, header("ce_type"), header("ce_id")) {
        (Some(key), Some(event_type), Some(event_id)) => evidence.add_event(Message {
            key,
            event_type,
            event_id,
            body: message.payload().unwrap_or_default(),
            place,
            partition: message.partition(),
        }),
        _ => Err("it has no key, no ce_type or no ce_id".to_owned()),
    };
    if let Err(problem) = added {
        let (partition, offset) = (message.partition(), message.offset());
        let told = format!("partition {partition}, offset {offset}: {problem}");
        evidence.events.unreadable.push(told);
    }
}

/// What the library would log, the audit says in its own words.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}
