//! Table `outbox`: events that Kafka does not have yet.

use std::borrow::Borrow;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{MySql, QueryBuilder, Row, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::primary::Target;
use super::{Error, Store};
use crate::events::Event;

/// After this long without a word from a relay or a reconciler the server ends its connection, and
/// with it the lock, s. One that works is never silent for so long.
pub(super) const SILENCE_SECONDS: u32 = 10;

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
    /// The parked event of the same key that it must not overtake.
    pub behind: Option<Parked>,
}

/// Which event is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parked {
    /// Its place in the outbox.
    pub id: i64,
    /// `ce_id`.
    pub event_id: Uuid,
}

/// Writes events in the transaction that makes them true. Call [`Store::outbox_written`] once
/// it is committed.
pub async fn append(
    transaction: &mut Transaction<'_, MySql>,
    events: &[impl Borrow<Event>],
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let mut insert =
        QueryBuilder::new("INSERT INTO outbox (event_id, event_type, message_key, body) ");
    insert.push_values(events, |mut row, event| {
        let event = event.borrow();
        row.push_bind(event.id)
            .push_bind(event.event_type.as_str())
            .push_bind(&event.key)
            .push_bind(event.body.to_string());
    });
    insert.build().execute(&mut **transaction).await?;
    Ok(())
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

    /// A connection for a relay, which keeps it: a lock ends with its connection, and a pool
    /// that requests have exhausted does not stop the relay.
    pub async fn relay_connection(&self) -> Result<RelayConnection, Error> {
        let server = self.primary.target().await?;
        let mut connection = server.connect().await?;
        sqlx::query("SET SESSION wait_timeout = ?")
            .bind(SILENCE_SECONDS)
            .execute(&mut connection)
            .await?;
        Ok(RelayConnection { server, connection })
    }
}

/// What a relay does in the database, on one connection.
pub struct RelayConnection {
    server: Target,
    connection: MySqlConnection,
}

impl RelayConnection {
    /// True when this connection has the right to relay, which one of a database has at a time:
    /// a lock of the server (GET_LOCK), freed when the connection ends.
    pub async fn lock(&mut self) -> Result<bool, Error> {
        // A lock's name has at most 64 characters, and so has a database's. MySQL 9 has no SHA1.
        let taken = sqlx::query_scalar(
            "SELECT GET_LOCK(CONCAT('holdfast.relay.', LEFT(SHA2(DATABASE(), 256), 40)), 0)",
        );
        let taken = async { Ok(taken.fetch_one(&mut self.connection).await?) };
        let taken: Option<i64> = self.server.answers(taken).await?;
        Ok(taken == Some(1))
    }

    /// The oldest events that are not parked, at most `limit`.
    ///
    /// One statement sees the waiting and the parked rows of one moment. Were they read one after
    /// the other, an operator's retry in between could let a row overtake those it waits behind.
    /// The index of parked rows would sort a long backlog to find its oldest: hence the hint.
    pub async fn oldest(&mut self, limit: u32) -> Result<Vec<Waiting>, Error> {
        let rows = sqlx::query(
            "SELECT o.id, o.event_id, o.event_type, o.message_key, o.body, o.created_at, \
                    f.id AS behind_id, f.event_id AS behind_event_id \
             FROM (SELECT * FROM outbox FORCE INDEX (PRIMARY) \
                   WHERE parked_at IS NULL ORDER BY id LIMIT ?) o \
             LEFT JOIN (SELECT message_key, MIN(id) AS id FROM outbox \
                        WHERE parked_at IS NOT NULL GROUP BY message_key) p \
                    ON p.message_key = o.message_key AND p.id < o.id \
             LEFT JOIN outbox f ON f.id = p.id \
             ORDER BY o.id",
        )
        .bind(limit);
        let rows = async { Ok(rows.fetch_all(&mut self.connection).await?) };
        let rows = self.server.answers(rows).await?;
        Ok(rows.iter().map(waiting).collect::<Result<_, _>>()?)
    }

    /// Removes events that Kafka has acknowledged.
    pub async fn remove(&mut self, ids: &[i64]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        self.with_ids(QueryBuilder::new("DELETE FROM outbox WHERE id IN ("), ids)
            .await
    }

    /// Parks an event that Kafka refuses.
    pub async fn park(&mut self, id: i64, why: &str) -> Result<(), Error> {
        let update =
            sqlx::query("UPDATE outbox SET parked_at = NOW(3), error = LEFT(?, 255) WHERE id = ?");
        let update = update.bind(why).bind(id);
        let updated = async { Ok(update.execute(&mut self.connection).await?) };
        self.server.answers(updated).await.map(drop)
    }

    /// Parks events behind one of their key, unless that one is parked no more.
    pub async fn park_behind(&mut self, parked: Parked, ids: &[i64]) -> Result<(), Error> {
        let mut update = QueryBuilder::new("UPDATE outbox o JOIN outbox f ON f.id = ");
        update.push_bind(parked.id);
        update.push(" SET o.parked_at = NOW(3), o.error = ");
        update.push_bind(format!("waits behind event {}", parked.event_id));
        update.push(" WHERE f.parked_at IS NOT NULL AND o.id IN (");
        self.with_ids(update, ids).await
    }

    /// Completes a statement that ends in `IN (`, and executes it.
    async fn with_ids(
        &mut self,
        mut statement: QueryBuilder<MySql>,
        ids: &[i64],
    ) -> Result<(), Error> {
        let mut separated = statement.separated(", ");
        for id in ids {
            separated.push_bind(id);
        }
        let statement = statement.push(")").build();
        let done = async { Ok(statement.execute(&mut self.connection).await?) };
        self.server.answers(done).await.map(drop)
    }
}

fn waiting(row: &MySqlRow) -> Result<Waiting, sqlx::Error> {
    let behind_id: Option<i64> = row.try_get("behind_id")?;
    let behind_event_id: Option<Uuid> = row.try_get("behind_event_id")?;
    Ok(Waiting {
        id: row.try_get("id")?,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        key: row.try_get("message_key")?,
        body: row.try_get("body")?,
        created_at: row.try_get("created_at")?,
        behind: behind_id
            .zip(behind_event_id)
            .map(|(id, event_id)| Parked { id, event_id }),
    })
}
