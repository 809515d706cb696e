//! Tables `orders`, `order_lines` and `hold_outcomes`: the transactions that move an order.
//!
//! Each may be repeated: what is done already is found done. Rows are locked in one order (the
//! order, then its products by SKU), so that two proxies cannot deadlock; when InnoDB sees a
//! deadlock all the same, the transaction is tried again.

use serde_json::{Map, Value, json};
use sqlx::{MySql, QueryBuilder, Transaction};
use uuid::Uuid;

use super::{Error, Store, outbox};
use crate::catalogue::Sku;
use crate::events::{Event, EventType};
use crate::gateway::inventory::Outcome;
use crate::orders::{Order, Reason, Status};

/// How often a transaction that lost a lock conflict is tried in all.
const ATTEMPTS: u32 = 10;

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

/// What became of confirming an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is CONFIRMED and its stock deducted.
    Committed,
    /// It was aborted before.
    AbortedBefore,
    /// There is less stock of this than the order needs.
    StockRefused(Sku),
}

/// What became of cancelling an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aborted {
    /// It is CANCELLED, or was never recorded.
    Aborted,
    /// It was committed before.
    CommittedBefore,
}

impl Store {
    /// Writes the order as PENDING with its first events. `held` are the balances that Redis
    /// gave, a line each.
    pub async fn record_order(
        &self,
        order: &Order,
        key: Option<&IdempotencyKey>,
        held: &[Outcome],
        lease_ms: u64,
    ) -> Result<Recorded, Error> {
        let recorded = retrying(|| self.try_record_order(order, key, held, lease_ms)).await;
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
            "INSERT INTO orders (id, user_id, status, total, currency, created_at, lease_until) \
             VALUES (?, ?, ?, ? / 100, ?, ?, NOW(3) + INTERVAL ? * 1000 MICROSECOND)",
        )
        .bind(order.id)
        .bind(order.user_id)
        .bind(Status::Pending.as_str())
        .bind(order.total_minor)
        .bind(&order.currency)
        .bind(order.created_at)
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

    /// The commit point: COMMITTED, CONFIRMED, stock deducted, events written, or nothing.
    pub async fn commit_order(&self, order: &Order, payment_id: &str) -> Result<Committed, Error> {
        retrying(|| self.try_commit_order(order, payment_id)).await
    }

    async fn try_commit_order(&self, order: &Order, payment_id: &str) -> Result<Committed, Error> {
        let mut transaction = self.pool.begin().await?;
        if !decide(&mut transaction, order.id, COMMITTED).await? {
            let aborted = outcome_of(&mut transaction, order.id).await? == ABORTED;
            return Ok(if aborted {
                Committed::AbortedBefore
            } else {
                Committed::Committed
            });
        }
        sqlx::query("UPDATE orders SET status = ?, version = version + 1, payment_id = ? WHERE id = ? AND status = ?")
            .bind(Status::Confirmed.as_str())
            .bind(payment_id)
            .bind(order.id)
            .bind(Status::Pending.as_str())
            .execute(&mut *transaction)
            .await?;
        for line in &order.lines {
            let deducted = sqlx::query(
                "UPDATE products SET stock = stock - ?, version = version + 1 WHERE sku = ? AND stock >= ?",
            )
            .bind(line.quantity)
            .bind(line.sku.as_str())
            .bind(line.quantity)
            .execute(&mut *transaction)
            .await?;
            if deducted.rows_affected() == 0 {
                return Ok(Committed::StockRefused(line.sku.clone()));
            }
        }
        sqlx::query(
            "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, acknowledged_at) \
             SELECT l.sku, -l.quantity, p.stock, 'sold', l.order_id, NOW(3) \
             FROM order_lines l JOIN products p ON p.sku = l.sku WHERE l.order_id = ?",
        )
        .bind(order.id)
        .execute(&mut *transaction)
        .await?;
        let balances: Vec<(String, i64)> = sqlx::query_as(
            "SELECT sku, stock_after FROM inventory_logs WHERE order_id = ? ORDER BY sku",
        )
        .bind(order.id)
        .fetch_all(&mut *transaction)
        .await?;
        let balances = balances
            .into_iter()
            .map(|(sku, stock)| json!({ "sku": sku, "stock": stock }));
        let events = [
            Event::of_order(
                EventType::PaymentProcessed,
                order,
                facts([("payment_id", json!(payment_id))]),
            ),
            Event::of_order(
                EventType::OrderConfirmed,
                order,
                facts([("balances", balances.collect())]),
            ),
        ];
        self.finish(transaction, &events).await?;
        Ok(Committed::Committed)
    }

    /// Calls the order off for ever, unless it was committed before. `refunded` says that money
    /// was taken and given back.
    pub async fn abort_order(
        &self,
        order: &Order,
        reason: Reason,
        refunded: bool,
    ) -> Result<Aborted, Error> {
        retrying(|| self.try_abort_order(order, reason, refunded)).await
    }

    async fn try_abort_order(
        &self,
        order: &Order,
        reason: Reason,
        refunded: bool,
    ) -> Result<Aborted, Error> {
        let mut transaction = self.pool.begin().await?;
        if !decide(&mut transaction, order.id, ABORTED).await?
            && outcome_of(&mut transaction, order.id).await? == COMMITTED
        {
            return Ok(Aborted::CommittedBefore);
        }
        let cancelled = sqlx::query(
            "UPDATE orders SET status = ?, version = version + 1, reason = ? WHERE id = ? AND status = ?",
        )
        .bind(Status::Cancelled.as_str())
        .bind(reason.as_str())
        .bind(order.id)
        .bind(Status::Pending.as_str())
        .execute(&mut *transaction)
        .await?;
        let events = match cancelled.rows_affected() {
            // Somebody cancelled it first, and did not know of the money.
            0 if refunded => vec![refund_event(order, reason)],
            // A repetition, and an order that was never recorded, change nothing to tell of.
            0 => Vec::new(),
            _ => ending(order, reason, refunded),
        };
        self.finish(transaction, &events).await?;
        Ok(Aborted::Aborted)
    }

    async fn finish(
        &self,
        mut transaction: Transaction<'_, MySql>,
        events: &[Event],
    ) -> Result<(), Error> {
        outbox::append(&mut transaction, events).await?;
        transaction.commit().await?;
        self.outbox_written();
        Ok(())
    }
}

const COMMITTED: &str = "COMMITTED";
const ABORTED: &str = "ABORTED";

/// True when this transaction is the first to decide the order; the primary key sees to it that
/// there is only one.
async fn decide(
    transaction: &mut Transaction<'_, MySql>,
    order: Uuid,
    outcome: &str,
) -> Result<bool, Error> {
    let inserted = sqlx::query("INSERT INTO hold_outcomes (order_id, outcome) VALUES (?, ?)")
        .bind(order)
        .bind(outcome)
        .execute(&mut **transaction)
        .await
        .map_err(Error::from);
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What was decided; the row exists, since inserting it found a duplicate.
async fn outcome_of(
    transaction: &mut Transaction<'_, MySql>,
    order: Uuid,
) -> Result<String, Error> {
    // A locking read sees what is committed now, not what was when this transaction began.
    let outcome = sqlx::query_scalar(
        "SELECT outcome FROM hold_outcomes WHERE order_id = ? LOCK IN SHARE MODE",
    )
    .bind(order)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(outcome)
}

fn ending(order: &Order, reason: Reason, refunded: bool) -> Vec<Event> {
    let mut events = Vec::new();
    if matches!(reason, Reason::PaymentDeclined | Reason::PaymentFailed) {
        events.push(Event::of_order(
            EventType::PaymentFailed,
            order,
            why(reason),
        ));
    }
    if refunded {
        events.push(refund_event(order, reason));
    }
    events.push(Event::of_order(
        EventType::InventoryReleased,
        order,
        why(reason),
    ));
    events.push(Event::of_order(
        EventType::OrderCancelled,
        order,
        why(reason),
    ));
    events
}

fn refund_event(order: &Order, reason: Reason) -> Event {
    Event::of_order(EventType::OrderRefunded, order, why(reason))
}

fn why(reason: Reason) -> Map<String, Value> {
    facts([("reason", json!(reason))])
}

fn facts<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Tries again what lost a lock conflict: InnoDB has rolled it back, so nothing is done twice.
async fn retrying<T, A>(attempt: impl Fn() -> A) -> Result<T, Error>
where
    A: Future<Output = Result<T, Error>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_lock_conflict() => {
                tracing::debug!(%error, "a transaction is tried again")
            }
            other => return other,
        }
    }
    attempt().await
}
