//! Refusals for stock, told straight to Kafka. A refusal changes nothing and does no work in the
//! database, so it has no outbox row: with Kafka away, or too many at once, it is not told.

use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Map, json};
use time::OffsetDateTime;

use super::kafka;
use super::types::{Event, EventType};
use crate::config::Kafka;
use crate::gateway::inventory::Outcome;
use crate::orders::{Order, Reason};

/// Tells refusals.
pub struct Refusals {
    producer: FutureProducer,
    topic: String,
}

impl Refusals {
    /// A teller for the configured topic.
    ///
    /// # Errors
    /// When the settings are none that librdkafka takes.
    pub fn new(config: &Kafka) -> Result<Self, KafkaError> {
        Ok(Self {
            producer: kafka::refusal_producer(config)?,
            topic: config.topic.clone(),
        })
    }

    /// Tells that `order` was refused; `lines` is what Redis said of each line.
    pub fn tell(&self, order: &Order, lines: &[Outcome]) {
        let balances = order.lines.iter().zip(lines).map(|(line, outcome)| {
            json!({ "sku": line.sku, "available": outcome.available, "seq": outcome.seq })
        });
        let mut facts = Map::new();
        facts.insert("reason".into(), json!(Reason::OutOfStock));
        facts.insert("balances".into(), balances.collect());
        self.send(&Event::of_order(EventType::SagaStarted, order, Map::new()));
        self.send(&Event::of_order(EventType::OrderCancelled, order, facts));
    }

    fn send(&self, event: &Event) {
        let body = event.body.to_string();
        let record = FutureRecord::to(&self.topic)
            .key(&event.key)
            .payload(&body)
            .headers(kafka::headers(
                event.id,
                event.event_type.as_str(),
                OffsetDateTime::now_utc(),
            ));
        if let Err((error, _)) = self.producer.send_result(record) {
            tracing::debug!(%error, "a refusal was not told");
        }
    }
}
