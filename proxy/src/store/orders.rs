//! Tables `orders`, `order_lines` and `hold_outcomes`: the transactions that move an order.
//!
//! Each may be repeated: what is done already is found done. Rows are locked in one order (the
//! order, then its products by SKU), so that two proxies cannot deadlock; when InnoDB sees a
//! deadlock all the same, the transaction is tried again.

use serde_json::{Map, Value, json};
use sqlx::{MySql, Transaction};
use uuid::Uuid;

use super::{Error, Store, outbox};
use crate::events::{Event, EventType};
use crate::orders::{Order, Reason, Status};

/// How often a transaction that lost a lock conflict is tried in all.
const ATTEMPTS: u32 = 10;

/// What became of cancelling an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aborted {
    /// It is CANCELLED, or was never recorded.
    Aborted,
    /// It was committed before.
    CommittedBefore,
}

impl Store {
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

    pub(super) async fn finish(
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

pub(super) const COMMITTED: &str = "COMMITTED";
pub(super) const ABORTED: &str = "ABORTED";

/// True when this transaction is the first to decide the order; the primary key sees to it that
/// there is only one.
pub(super) async fn decide(
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
pub(super) async fn outcome_of(
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

pub(super) fn facts<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Tries again what lost a lock conflict: InnoDB has rolled it back, so nothing is done twice.
pub(super) async fn retrying<T, A>(attempt: impl Fn() -> A) -> Result<T, Error>
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
