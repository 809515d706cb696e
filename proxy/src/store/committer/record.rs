//! Writing new orders down as PENDING.

use std::sync::Arc;

use serde_json::{Map, json};
use sqlx::{Connection, MySql, MySqlConnection, QueryBuilder, Row, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::orders::facts;
use super::super::{Error, Store, outbox};
use super::pieces::{ARMS, ROWS, pieces};
use super::queue::Work;
use super::sift::{Known, Newcomer, newcomers};
use crate::events::{Event, EventType};
use crate::gateway::inventory::Outcome;
use crate::orders::{Order, Status};

/// What makes a request recognisable when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// As the client sent it.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub request_hash: [u8; 32],
    /// How long it is remembered, ms.
    pub expiry_ms: u64,
}

/// What became of writing down a new order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is PENDING.
    Recorded,
    /// Its idempotency key belongs to an order that came first.
    KeyTaken,
    /// The order itself came before.
    OrderExists,
}

impl Store {
    /// Writes the order as PENDING with its first events. `held` are the balances that Redis
    /// gave, a line each; `saga_id` tells a repetition from another saga of the same order.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: nothing was written. Any other: it may or may not have been.
    pub async fn record_order(
        &self,
        order: &Order,
        saga_id: Uuid,
        key: Option<&IdempotencyKey>,
        held: &[Outcome],
        lease_ms: u64,
    ) -> Result<Recorded, Error> {
        let record = Record {
            events: beginning(order, held),
            order: order.clone(),
            saga_id,
            key: key.cloned(),
            lease_ms,
        };
        self.committers.record.try_write(record).await
    }
}

/// An order to be recorded.
pub struct Record {
    order: Order,
    saga_id: Uuid,
    key: Option<IdempotencyKey>,
    lease_ms: u64,
    events: [Event; 3],
}

/// Records orders.
pub struct Recording {
    outbox_wake: Arc<Notify>,
}

impl Recording {
    pub fn new(outbox_wake: Arc<Notify>) -> Self {
        Self { outbox_wake }
    }
}

impl Work for Recording {
    type Request = Record;
    type Answer = Recorded;

    fn weight(record: &Record) -> usize {
        record.order.lines.len()
    }

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Record],
        look: bool,
    ) -> Result<Vec<Recorded>, Error> {
        let known = if look {
            known_of(connection, batch).await?
        } else {
            Known::default()
        };
        let batch_ids: Vec<_> = batch.iter().map(|record| record.newcomer()).collect();
        let verdicts = newcomers(&batch_ids, known);
        let new: Vec<&Record> = std::iter::zip(batch, &verdicts)
            .filter_map(|(record, verdict)| verdict.is_none().then_some(*record))
            .collect();
        if !new.is_empty() {
            let mut transaction = connection.begin().await?;
            insert(&mut transaction, new).await?;
            transaction.commit().await?;
            self.outbox_wake.notify_one();
        }
        let answers = verdicts.into_iter();
        Ok(answers
            .map(|verdict| verdict.unwrap_or(Recorded::Recorded))
            .collect())
    }
}

impl Record {
    fn newcomer(&self) -> Newcomer<'_> {
        Newcomer {
            order: self.order.id,
            saga: self.saga_id,
            key: self.scoped_key(),
        }
    }

    fn scoped_key(&self) -> Option<(Uuid, &str)> {
        let key = self.key.as_ref()?;
        Some((self.order.user_id, key.key.as_str()))
    }
}

async fn insert(
    transaction: &mut Transaction<'_, MySql>,
    mut new: Vec<&Record>,
) -> Result<(), Error> {
    // Events in order of arrival; rows in the order of their keys, as every proxy locks them.
    let events: Vec<&Event> = new.iter().flat_map(|record| &record.events).collect();
    let mut keyed: Vec<_> = new
        .iter()
        .filter_map(|record| Some((record.scoped_key()?, record.key.as_ref()?, record.order.id)))
        .collect();
    keyed.sort_unstable_by_key(|(scoped, _, _)| *scoped);
    for piece in pieces(keyed.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO idempotency_keys (scope, idempotency_key, request_hash, order_id, expires_at) ",
        );
        insert.push_values(&keyed[piece], |mut row, ((scope, _), key, order)| {
            row.push_bind(scope)
                .push_bind(&key.key)
                .push_bind(key.request_hash.as_slice())
                .push_bind(order)
                .push("NOW(3) + INTERVAL ")
                .push_bind_unseparated(key.expiry_ms)
                .push_unseparated(" * 1000 MICROSECOND");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    new.sort_unstable_by_key(|record| record.order.id);
    for piece in pieces(new.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO orders (id, user_id, status, total, currency, created_at, saga_id, lease_until) ",
        );
        insert.push_values(&new[piece], |mut row, record| {
            let order = &record.order;
            row.push_bind(order.id)
                .push_bind(order.user_id)
                .push_bind(Status::Pending.as_str())
                .push_bind(order.total_minor)
                .push_unseparated(" / 100")
                .push_bind(&order.currency)
                .push_bind(order.created_at)
                .push_bind(record.saga_id)
                .push("NOW(3) + INTERVAL ")
                .push_bind_unseparated(record.lease_ms)
                .push_unseparated(" * 1000 MICROSECOND");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    let lines: Vec<_> = new
        .iter()
        .flat_map(|record| {
            record
                .order
                .lines
                .iter()
                .map(|line| (record.order.id, line))
        })
        .collect();
    for piece in pieces(lines.len(), ROWS) {
        let mut insert =
            QueryBuilder::new("INSERT INTO order_lines (order_id, sku, quantity, price) ");
        insert.push_values(&lines[piece], |mut row, (order, line)| {
            row.push_bind(order)
                .push_bind(line.sku.as_str())
                .push_bind(line.quantity)
                .push_bind(line.price_minor)
                .push_unseparated(" / 100");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    for piece in pieces(events.len(), ROWS) {
        outbox::append(transaction, &events[piece]).await?;
    }
    Ok(())
}

async fn known_of(connection: &mut MySqlConnection, batch: &[&Record]) -> Result<Known, Error> {
    let mut known = Known::default();
    for piece in pieces(batch.len(), ROWS) {
        let mut select = QueryBuilder::new("SELECT id, saga_id FROM orders WHERE id IN (");
        let mut ids = select.separated(", ");
        for record in &batch[piece] {
            ids.push_bind(record.order.id);
        }
        let select = select.push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            known.add_order(row.try_get("id")?, row.try_get("saga_id")?);
        }
    }
    let keys: Vec<_> = batch
        .iter()
        .filter_map(|record| record.scoped_key())
        .collect();
    for piece in pieces(keys.len(), ARMS) {
        // Not a list of pairs, for which MariaDB would read the whole table.
        let mut select = QueryBuilder::new(
            "SELECT scope, idempotency_key FROM idempotency_keys WHERE (scope = ",
        );
        for (at, (scope, key)) in keys[piece].iter().enumerate() {
            if at > 0 {
                select.push(") OR (scope = ");
            }
            select.push_bind(scope);
            select.push(" AND idempotency_key = ").push_bind(*key);
        }
        let select = select.push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            let key: String = row.try_get("idempotency_key")?;
            known.add_key(row.try_get("scope")?, &key);
        }
    }
    Ok(known)
}

fn beginning(order: &Order, held: &[Outcome]) -> [Event; 3] {
    let balances = order.lines.iter().zip(held).map(|(line, outcome)| {
        json!({ "sku": line.sku, "available": outcome.available, "seq": outcome.seq })
    });
    let reserved = facts([("balances", balances.collect())]);
    [
        Event::of_order(EventType::SagaStarted, order, Map::new()),
        Event::of_order(EventType::InventoryReserved, order, reserved),
        Event::of_order(EventType::OrderCreated, order, Map::new()),
    ]
}
