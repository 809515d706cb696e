//! From the outbox to Kafka: at least once, in order per key, by one proxy at a time.
//!
//! **Order.** Of a key at most one event is on its way: the next leaves when Kafka has
//! acknowledged it, and a row is removed only after that. So whoever sends an event has had the
//! acknowledgement of every earlier one of its key, or found those removed because somebody else
//! had. The *first* time that each event is in the topic, all earlier ones of its key are there.
//! Rows of a key have their order because whoever writes one holds the lock of its order or
//! product.
//!
//! **The lock** is not what keeps the order; it spares the work of doing everything twice. The
//! server frees it when its connection ends, which a relay that was stopped (SIGSTOP) or cut off
//! does not notice at once. Such a relay may repeat events, which consumers know by `ce_id`, and
//! sends at most the rest of its batch: sending one is bounded, by [`BATCH_TIME`] and the
//! producer's own timeout, and before the next it must ask on the connection it has lost.
//!
//! **A row that Kafka refuses for good** is parked with what Kafka said, and later rows of its key
//! behind it. Everybody else's go on.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{backlog, kafka};
use crate::config::Kafka;
use crate::store::outbox::{Parked, RelayConnection, Waiting};
use crate::store::{Error, Store};
use crate::telemetry::Metrics;

/// Rows taken to Kafka at once.
const BATCH: u32 = 500;
/// No event of a batch begins its way later than this. Together with the producer's timeout less
/// than the silence after which the server frees the lock.
const BATCH_TIME: Duration = Duration::from_secs(3);
/// The outbox is looked at this often even when nothing wakes the relay: another proxy may have
/// written to it.
const POLL: Duration = Duration::from_millis(500);
/// How long after `stop` what waits may still be brought to Kafka.
const LAST_BATCHES: Duration = Duration::from_secs(2);

/// Relays until `stop`, and then what is left, if that is soon done. While another proxy has the
/// right to relay, waits for it.
pub async fn run(
    store: Store,
    config: Kafka,
    producer: FutureProducer,
    metrics: std::sync::Arc<Metrics>,
    stop: CancellationToken,
) {
    let relay = Relay {
        store: &store,
        config: &config,
        metrics: &metrics,
        stop: &stop,
    };
    let relaying = async {
        tokio::select! {
            () = relay.run(producer) => {}
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_BATCHES).await } => {}
        }
    };
    tokio::join!(relaying, backlog::watch(&store, &metrics, &stop));
}

struct Relay<'a> {
    store: &'a Store,
    config: &'a Kafka,
    metrics: &'a Metrics,
    stop: &'a CancellationToken,
}

/// What became of a batch.
#[derive(Debug, Default)]
struct Delivery<'a> {
    /// Kafka has them.
    delivered: Vec<i64>,
    /// Kafka will never take them.
    refused: Vec<(&'a Waiting, KafkaError)>,
    /// Why some others wait, if they do.
    failed: Option<KafkaError>,
}

impl Relay<'_> {
    async fn run(&self, mut producer: FutureProducer) {
        self.await_topic().await;
        while !self.stop.is_cancelled() {
            match self.relay_on_one_connection(&producer).await {
                Ok(()) if self.stop.is_cancelled() => return,
                // Only a new producer goes on after what librdkafka calls fatal.
                Ok(()) => match kafka::outbox_producer(self.config) {
                    Ok(another) => producer = another,
                    Err(error) => tracing::error!(%error, "no producer for the relay"),
                },
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot reach the database; it begins again");
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn await_topic(&self) {
        let mut told = false;
        while let Err(error) = kafka::ensure_topic(self.config).await {
            if self.stop.is_cancelled() {
                return;
            }
            if !told {
                tracing::warn!(%error, "kafka does not answer; events wait in the outbox until it does");
                told = true;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends at `stop` with nothing left to send, or when the producer can send no more.
    async fn relay_on_one_connection(&self, producer: &FutureProducer) -> Result<(), Error> {
        let mut connection = self.store.relay_connection().await?;
        while !connection.lock().await? {
            if tokio::time::timeout(POLL, self.stop.cancelled())
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        let mut is_away = false;
        loop {
            let waiting = connection.oldest(BATCH).await?;
            let (behind, free): (Vec<&Waiting>, Vec<&Waiting>) =
                waiting.iter().partition(|row| row.behind.is_some());
            park_behind(&mut connection, &behind).await?;
            let delivery = self.deliver(producer, &free).await;
            connection.remove(&delivery.delivered).await?;
            self.metrics
                .events_relayed
                .inc_by(delivery.delivered.len() as u64);
            for (row, error) in &delivery.refused {
                tracing::error!(event = %row.event_id, key = row.key, %error, "kafka refuses an event; it is parked, and later ones of its key with it");
                connection.park(row.id, &error.to_string()).await?;
            }
            match &delivery.failed {
                Some(error) if is_fatal(error) => {
                    tracing::error!(%error, "the producer of the relay is replaced");
                    return Ok(());
                }
                Some(error) if !is_away => {
                    tracing::warn!(%error, "kafka does not take events; they wait in the outbox");
                }
                None if is_away => tracing::info!("kafka takes events again"),
                _ => {}
            }
            is_away = delivery.failed.is_some();
            if is_away {
                tokio::time::sleep(POLL).await;
            } else if waiting.len() < BATCH as usize {
                if self.stop.is_cancelled() && waiting.is_empty() {
                    return Ok(());
                }
                // Woken by this process's commits, or by time for those of others.
                tokio::select! {
                    () = self.store.outbox_woken() => {}
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    async fn deliver<'a>(&self, producer: &FutureProducer, rows: &[&'a Waiting]) -> Delivery<'a> {
        let until = Instant::now() + BATCH_TIME;
        let keys = by_key(rows).into_values();
        let chains = keys.map(|rows| self.deliver_in_order(producer, rows, until));
        let mut delivery = Delivery::default();
        let mut suspects = Vec::new();
        for (delivered, stopped) in join_all(chains).await {
            delivery.delivered.extend(delivered);
            match stopped {
                Some((row, error)) if is_refusal(&error) => suspects.push(row),
                Some((_, error)) => delivery.failed = Some(error),
                None => {}
            }
        }
        // Kafka refuses a set of messages for one among them. Sent alone, each speaks for itself.
        for row in suspects {
            if Instant::now() >= until {
                break;
            }
            match self.send(producer, row).await {
                Ok(()) => delivery.delivered.push(row.id),
                Err(error) if is_refusal(&error) => delivery.refused.push((row, error)),
                Err(error) => delivery.failed = Some(error),
            }
        }
        delivery
    }

    /// Sends the rows of one key, each after the acknowledgement of the one before. Gives those
    /// that Kafka has, and the one that it did not take, if any, which keeps the later ones back.
    async fn deliver_in_order<'a>(
        &self,
        producer: &FutureProducer,
        rows: Vec<&'a Waiting>,
        until: Instant,
    ) -> (Vec<i64>, Option<(&'a Waiting, KafkaError)>) {
        let mut delivered = Vec::with_capacity(rows.len());
        for row in rows {
            if Instant::now() >= until {
                break;
            }
            match self.send(producer, row).await {
                Ok(()) => delivered.push(row.id),
                Err(error) => return (delivered, Some((row, error))),
            }
        }
        (delivered, None)
    }

    async fn send(&self, producer: &FutureProducer, row: &Waiting) -> Result<(), KafkaError> {
        let headers = kafka::headers(row.event_id, &row.event_type, row.created_at);
        let record = FutureRecord::to(&self.config.topic)
            .key(&row.key)
            .payload(&row.body)
            .headers(headers);
        // A batch never fills the producer's queue, so there is nothing to wait for.
        let sent = producer.send(record, Duration::ZERO).await;
        sent.map(drop).map_err(|(error, _)| error)
    }
}

/// Parks rows that would overtake a parked one of their key.
async fn park_behind(connection: &mut RelayConnection, rows: &[&Waiting]) -> Result<(), Error> {
    let mut ids: HashMap<Parked, Vec<i64>> = HashMap::new();
    for row in rows {
        if let Some(parked) = row.behind {
            ids.entry(parked).or_default().push(row.id);
        }
    }
    for (parked, ids) in ids {
        connection.park_behind(parked, &ids).await?;
    }
    Ok(())
}

fn by_key<'a>(rows: &[&'a Waiting]) -> HashMap<&'a str, Vec<&'a Waiting>> {
    let mut keys: HashMap<&str, Vec<&Waiting>> = HashMap::new();
    for row in rows {
        keys.entry(&row.key).or_default().push(row);
    }
    keys
}

/// True when Kafka will give the same answer for ever. Whatever may pass (no leader, no time, no
/// permission) is none of these.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::MessageBatchTooLarge
                | Code::InvalidMessageSize
                | Code::InvalidRecord
                | Code::InvalidDifferentRecord
                | Code::InvalidTimestamp
        )
    )
}

fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_kafka_will_never_take_is_a_refusal() {
        use RDKafkaErrorCode as Code;
        let refused = |code| is_refusal(&KafkaError::MessageProduction(code));
        for code in [Code::MessageSizeTooLarge, Code::InvalidRecord] {
            assert!(refused(code), "{code:?}");
        }
        for code in [
            Code::MessageTimedOut,
            Code::BrokerTransportFailure,
            Code::NotLeaderForPartition,
            Code::NotEnoughReplicas,
            Code::TopicAuthorizationFailed,
            Code::UnknownTopicOrPartition,
            Code::OutOfOrderSequenceNumber,
            Code::Fatal,
        ] {
            assert!(!refused(code), "{code:?}");
        }
    }

    #[test]
    fn rows_of_a_key_keep_their_order() {
        let row = |id: i64, key: &str| Waiting {
            id,
            event_id: Uuid::nil(),
            event_type: "OrderCreated".into(),
            key: key.into(),
            body: String::new(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            behind: None,
        };
        let rows = [row(1, "a"), row(2, "b"), row(5, "a"), row(9, "a")];
        let keys = by_key(&rows.iter().collect::<Vec<_>>());
        let ids: Vec<i64> = keys["a"].iter().map(|row| row.id).collect();
        assert_eq!(ids, [1, 5, 9]);
        assert_eq!(keys["b"].len(), 1);
    }
}
