//! What an operator and the metrics ask of the outbox: how much waits, and what is parked.

use serde::Serialize;
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Error, Store};

/// How much waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Backlog {
    /// Events that Kafka does not have, the parked ones among them.
    pub rows: i64,
    /// Those of them that wait for an operator.
    pub parked_rows: i64,
    /// How long the oldest that is not parked has waited, s; 0 when there is none.
    pub oldest_age_seconds: f64,
}

/// The events of one key that are parked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParkedKey {
    /// The message key: an order id, or a SKU.
    pub key: String,
    /// `ce_id` of the first of them, which Kafka refused.
    pub event_id: Uuid,
    /// Its `ce_type`.
    pub event_type: String,
    /// When it was parked.
    #[serde(with = "time::serde::rfc3339")]
    pub parked_at: OffsetDateTime,
    /// What Kafka said.
    pub error: String,
    /// How many events are parked with it, itself among them.
    pub rows: i64,
}

impl Store {
    /// How much waits in the outbox.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        let (rows, parked_rows) = sqlx::query_as("SELECT COUNT(*), COUNT(parked_at) FROM outbox")
            .fetch_one(&self.primary.pool().await?)
            .await?;
        let oldest_age_us: Option<i64> = sqlx::query_scalar(
            "SELECT TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) \
             FROM outbox FORCE INDEX (PRIMARY) WHERE parked_at IS NULL ORDER BY id LIMIT 1",
        )
        .fetch_optional(&self.primary.pool().await?)
        .await?;
        Ok(Backlog {
            rows,
            parked_rows,
            oldest_age_seconds: oldest_age_us.unwrap_or(0) as f64 / 1e6,
        })
    }

    /// The keys with parked events, the longest in the outbox first, at most `limit`.
    pub async fn parked_events(&self, limit: u32) -> Result<Vec<ParkedKey>, Error> {
        let rows = sqlx::query(
            "SELECT f.message_key, f.event_id, f.event_type, f.parked_at, f.error, p.parked \
             FROM (SELECT MIN(id) AS id, COUNT(*) AS parked FROM outbox \
                   WHERE parked_at IS NOT NULL GROUP BY message_key ORDER BY 1 LIMIT ?) p \
             JOIN outbox f ON f.id = p.id ORDER BY f.id",
        )
        .bind(limit)
        .fetch_all(&self.primary.pool().await?)
        .await?;
        let keys = rows.iter().map(|row| {
            Ok(ParkedKey {
                key: row.try_get("message_key")?,
                event_id: row.try_get("event_id")?,
                event_type: row.try_get("event_type")?,
                parked_at: row.try_get("parked_at")?,
                error: row.try_get("error")?,
                rows: row.try_get("parked")?,
            })
        });
        Ok(keys.collect::<Result<_, sqlx::Error>>()?)
    }

    /// Lets the parked events of a key go to Kafka again, all of them at once so that they stay
    /// in their order. Gives how many there were.
    pub async fn retry_parked_events(&self, key: &str) -> Result<u64, Error> {
        let retried = sqlx::query(
            "UPDATE outbox SET parked_at = NULL, error = NULL \
             WHERE parked_at IS NOT NULL AND message_key = ?",
        )
        .bind(key)
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(retried.rows_affected())
    }

    /// The same for every key that is parked now.
    pub async fn retry_all_parked_events(&self) -> Result<u64, Error> {
        let mut retried = 0;
        for parked in self.parked_events(u32::MAX).await? {
            retried += self.retry_parked_events(&parked.key).await?;
        }
        Ok(retried)
    }
}
