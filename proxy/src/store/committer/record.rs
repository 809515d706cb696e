//! Writing new orders down as PENDING.

use serde_json::{Map, json};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::super::orders::{facts, retrying};
use super::super::{Error, Store};
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
        let recorded =
            retrying(|| self.try_record_order(order, saga_id, key, held, lease_ms)).await;
        match recorded {
            // The key is inserted before the order, whose id is new when there is a key.
            Err(error) if error.is_duplicate() && key.is_some() => Ok(Recorded::KeyTaken),
            Err(error) if error.is_duplicate() => Ok(Recorded::OrderExists),
            other => other.map(|()| Recorded::Recorded),
        }
    }

    async fn try_record_order(
        &self,
        order: &Order,
        saga_id: Uuid,
        key: Option<&IdempotencyKey>,
        held: &[Outcome],
        lease_ms: u64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        if let Some(IdempotencyKey { key, request_hash }) = key {
            sqlx::query(
                "INSERT INTO idempotency_keys (scope, idempotency_key, request_hash, order_id, expires_at) \
                 VALUES (?, ?, ?, ?, NOW(3) + INTERVAL 1 DAY)",
            )
            .bind(order.user_id)
            .bind(key)
            .bind(request_hash.as_slice())
            .bind(order.id)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "INSERT INTO orders (id, user_id, status, total, currency, created_at, saga_id, lease_until) \
             VALUES (?, ?, ?, ? / 100, ?, ?, ?, NOW(3) + INTERVAL ? * 1000 MICROSECOND)",
        )
        .bind(order.id)
        .bind(order.user_id)
        .bind(Status::Pending.as_str())
        .bind(order.total_minor)
        .bind(&order.currency)
        .bind(order.created_at)
        .bind(saga_id)
        .bind(lease_ms)
        .execute(&mut *transaction)
        .await?;
        let mut insert =
            QueryBuilder::new("INSERT INTO order_lines (order_id, sku, quantity, price) ");
        insert.push_values(&order.lines, |mut row, line| {
            row.push_bind(order.id)
                .push_bind(line.sku.as_str())
                .push_bind(line.quantity);
            row.push_bind(line.price_minor).push_unseparated(" / 100");
        });
        insert.build().execute(&mut *transaction).await?;
        let balances = order.lines.iter().zip(held).map(|(line, outcome)| {
            json!({ "sku": line.sku, "available": outcome.available, "seq": outcome.seq })
        });
        let reserved = facts([("balances", balances.collect())]);
        let events = [
            Event::of_order(EventType::SagaStarted, order, Map::new()),
            Event::of_order(EventType::InventoryReserved, order, reserved),
            Event::of_order(EventType::OrderCreated, order, Map::new()),
        ];
        self.finish(transaction, &events).await
    }
}
