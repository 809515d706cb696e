//! Table `outbox`: events that Kafka does not have yet.

use sqlx::pool::PoolConnection;
use sqlx::{MySql, QueryBuilder, Row, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Error, Store};
use crate::events::Event;

/// A row that waits for Kafka.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its place: rows leave in this order.
    pub id: i64,
    /// `ce_id`.
    pub event_id: Uuid,
    /// `ce_type`.
    pub event_type: String,
    /// The message key.
    pub key: String,
    /// The JSON body.
    pub body: String,
    /// `ce_time`.
    pub created_at: OffsetDateTime,
}

/// Writes events in the transaction that makes them true. Call [`Store::outbox_written`] once
/// it is committed.
pub async fn append(
    transaction: &mut Transaction<'_, MySql>,
    events: &[Event],
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let mut insert =
        QueryBuilder::new("INSERT INTO outbox (event_id, event_type, message_key, body) ");
    insert.push_values(events, |mut row, event| {
        row.push_bind(event.id)
            .push_bind(event.event_type.as_str())
            .push_bind(&event.key)
            .push_bind(event.body.to_string());
    });
    insert.build().execute(&mut **transaction).await?;
    Ok(())
}

/// The right to relay: one proxy of a database has it at a time, so that no two can reorder an
/// order's events. It is a lock of the server (GET_LOCK), freed when the connection ends.
pub struct RelayLock {
    connection: PoolConnection<MySql>,
}

impl Store {
    /// Wakes the relay: there is something to send.
    pub fn outbox_written(&self) {
        self.outbox_wake.notify_one();
    }

    /// Waits until this process has written to the outbox.
    pub async fn outbox_woken(&self) {
        self.outbox_wake.notified().await;
    }

    /// Takes the right to relay, unless another proxy has it.
    pub async fn lock_relay(&self) -> Result<Option<RelayLock>, Error> {
        let mut connection = self.pool.acquire().await?;
        let taken: Option<i64> =
            sqlx::query_scalar("SELECT GET_LOCK(CONCAT('holdfast.relay.', DATABASE()), 0)")
                .fetch_one(&mut *connection)
                .await?;
        // A pooled connection would keep the lock after its return, so this one ends with it.
        connection.close_on_drop();
        Ok((taken == Some(1)).then_some(RelayLock { connection }))
    }
}

impl RelayLock {
    /// The oldest waiting events, at most `limit`.
    pub async fn oldest(&mut self, limit: u32) -> Result<Vec<Waiting>, Error> {
        let rows = sqlx::query(
            "SELECT id, event_id, event_type, message_key, body, created_at FROM outbox ORDER BY id LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut *self.connection)
        .await?;
        let waiting = rows.iter().map(|row| {
            Ok(Waiting {
                id: row.try_get("id")?,
                event_id: row.try_get("event_id")?,
                event_type: row.try_get("event_type")?,
                key: row.try_get("message_key")?,
                body: row.try_get("body")?,
                created_at: row.try_get("created_at")?,
            })
        });
        Ok(waiting.collect::<Result<_, sqlx::Error>>()?)
    }

    /// Removes events that Kafka has acknowledged.
    pub async fn remove(&mut self, ids: &[i64]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut delete = QueryBuilder::new("DELETE FROM outbox WHERE id IN (");
        let mut separated = delete.separated(", ");
        for id in ids {
            separated.push_bind(id);
        }
        delete
            .push(")")
            .build()
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
