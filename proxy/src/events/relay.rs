//! From the outbox to Kafka: in order, at least once, by one proxy at a time.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use tokio_util::sync::CancellationToken;

use super::kafka;
use crate::config::Kafka;
use crate::store::outbox::{RelayLock, Waiting};
use crate::store::{Error, Store};

/// Rows taken to Kafka at once.
const BATCH: u32 = 500;
/// The outbox is looked at this often even when nothing wakes the relay: another proxy may have
/// written to it.
const POLL: Duration = Duration::from_millis(500);

/// Relays until `stop`. While another proxy has the right to relay, waits for it.
pub async fn run(store: Store, config: Kafka, producer: FutureProducer, stop: CancellationToken) {
    let relay = Relay {
        store,
        config,
        producer,
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = relay.run() => {}
    }
}

struct Relay {
    store: Store,
    config: Kafka,
    producer: FutureProducer,
}

impl Relay {
    async fn run(&self) {
        self.await_topic().await;
        loop {
            match self.store.lock_relay().await {
                Ok(Some(lock)) => {
                    let Err(error) = self.relay_while_locked(lock).await;
                    tracing::warn!(%error, "the relay lost its database connection; it begins again");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the relay cannot reach the database; it tries again")
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn await_topic(&self) {
        let mut told = false;
        while let Err(error) = kafka::ensure_topic(&self.config).await {
            if !told {
                tracing::warn!(%error, "kafka does not answer; events wait in the outbox until it does");
                told = true;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn relay_while_locked(
        &self,
        mut lock: RelayLock,
    ) -> Result<std::convert::Infallible, Error> {
        loop {
            let waiting = lock.oldest(BATCH).await?;
            let delivered = self.deliver(&waiting).await;
            lock.remove(&delivered).await?;
            if waiting.len() < BATCH as usize {
                // Woken by this process's commits, or by time for those of others.
                let _by_either = tokio::time::timeout(POLL, self.store.outbox_woken()).await;
            }
        }
    }

    /// Sends rows in their order and returns the ids of those that Kafka has. A row that Kafka
    /// refuses keeps the later rows of its key back, so that nothing overtakes it.
    async fn deliver(&self, waiting: &[Waiting]) -> Vec<i64> {
        let mut sent = Vec::with_capacity(waiting.len());
        for row in waiting {
            sent.push(self.send(row).await);
        }
        let mut refused: HashSet<&str> = HashSet::new();
        let mut delivered = Vec::with_capacity(waiting.len());
        for (row, sent) in waiting
            .iter()
            .zip(join_all(sent.into_iter().map(settled)).await)
        {
            if let Err(error) = sent {
                tracing::error!(event = %row.event_id, order = row.key, %error, "kafka refused an event; it stays in the outbox");
                refused.insert(&row.key);
            } else if !refused.contains(row.key.as_str()) {
                delivered.push(row.id);
            }
        }
        delivered
    }

    async fn send(&self, row: &Waiting) -> Result<DeliveryFuture, KafkaError> {
        let mut record = FutureRecord::to(&self.config.topic)
            .key(&row.key)
            .payload(&row.body)
            .headers(kafka::headers(
                row.event_id,
                &row.event_type,
                row.created_at,
            ));
        loop {
            match self.producer.send_result(record) {
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), unsent)) => {
                    record = unsent;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err((error, _)) => return Err(error),
                Ok(delivery) => return Ok(delivery),
            }
        }
    }
}

async fn settled(sent: Result<DeliveryFuture, KafkaError>) -> Result<(), KafkaError> {
    match sent?.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}
