//! Kafka: the producer that cannot reorder or repeat, and the shape of a message.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureProducer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::config::Kafka;

/// A message that Kafka has not acknowledged after so long is given up; its row is sent again.
const EVENT_TIMEOUT: Duration = Duration::from_secs(4);
/// A broker that has not answered after so long is left, and who leads in its place is looked up. A
/// broker that hangs refuses nothing: librdkafka would wait a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A producer for the outbox: idempotent, and every in-sync replica must acknowledge.
pub fn outbox_producer(config: &Kafka) -> Result<FutureProducer, KafkaError> {
    client(config)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", EVENT_TIMEOUT.as_millis().to_string())
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        .create()
}

/// A producer for what may be lost: it keeps little and gives up soon.
pub fn refusal_producer(config: &Kafka) -> Result<FutureProducer, KafkaError> {
    client(config)
        .set("queue.buffering.max.messages", "10000")
        .set("message.timeout.ms", "10000")
        .set("linger.ms", "20")
        .create()
}

/// Makes the topic with the broker's own defaults, unless it exists. Brokers that make topics by
/// themselves are the exception in production.
pub async fn ensure_topic(config: &Kafka) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = client(config).create()?;
    let topic = NewTopic::new(&config.topic, -1, TopicReplication::Fixed(-1));
    for created in admin.create_topics([&topic], &AdminOptions::new()).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}

/// The headers of CloudEvents 1.0 in Kafka's binary mode (Kafka Protocol Binding, 3.2).
pub fn headers(event_id: Uuid, event_type: &str, created_at: OffsetDateTime) -> OwnedHeaders {
    let time = created_at.format(&Rfc3339).unwrap_or_default();
    let id = event_id.to_string();
    let pairs = [
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_type", event_type),
        ("ce_source", "/holdfast"),
        ("ce_time", &time),
        ("content-type", "application/json"),
    ];
    pairs
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        })
}

fn client(config: &Kafka) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "holdfast")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.timeout.ms", ANSWER_TIMEOUT.as_millis().to_string())
        .set("socket.keepalive.enable", "true");
    client
}
