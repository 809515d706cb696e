//! Calling an order off before it is sold, and what follows when money was taken.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::orders::{ABORTED, COMMITTED, decide, facts, outcome_of, retrying};
use super::{Error, Store, buyer_purchases, order_history};
use crate::events::{Event, EventType};
use crate::orders::{Actor, Author, Order, Reason, Status};

/// What became of calling an order off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aborted {
    /// It is called off, or was never recorded and cannot be sold any more.
    Aborted,
    /// It was committed before.
    CommittedBefore,
}

/// The longest explanation that `orders.error` takes, characters.
const LONGEST_ERROR: usize = 255;

impl Store {
    /// Calls the order off for ever, unless it was committed before; `author` is who does.
    pub async fn abort_order(
        &self,
        order: &Order,
        reason: Reason,
        author: &Author,
    ) -> Result<Aborted, Error> {
        retrying(|| self.try_abort_order(order, reason, author)).await
    }

    async fn try_abort_order(
        &self,
        order: &Order,
        reason: Reason,
        author: &Author,
    ) -> Result<Aborted, Error> {
        let mut transaction = self.begin().await?;
        if !decide(&mut transaction, order.id, ABORTED).await?
            && outcome_of(&mut transaction, order.id).await? == COMMITTED
        {
            return Ok(Aborted::CommittedBefore);
        }
        let called_off = sqlx::query(
            "UPDATE orders SET status = ?, version = version + 1, reason = ? WHERE id = ? AND status IN (?, ?)",
        )
        .bind(reason.status().as_str())
        .bind(reason.as_str())
        .bind(order.id)
        .bind(Status::Pending.as_str())
        .bind(Status::Paid.as_str())
        .execute(&mut *transaction)
        .await?;
        let events = match called_off.rows_affected() {
            // A repetition, and an order that was never recorded, change nothing to tell of.
            0 => Vec::new(),
            _ => {
                order_history::append(&mut transaction, &[order.id], author).await?;
                buyer_purchases::give_back(&mut transaction, order).await?;
                ending(order, reason)
            }
        };
        self.finish(transaction, &events).await?;
        Ok(Aborted::Aborted)
    }

    /// Writes down, once, that the money of an order that was called off is back.
    pub async fn record_refund(&self, order: &Order) -> Result<(), Error> {
        retrying(|| self.try_record_refund(order)).await
    }

    async fn try_record_refund(&self, order: &Order) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let refunded = sqlx::query(
            "UPDATE orders SET status = ?, version = version + 1, error = NULL WHERE id = ? AND status IN (?, ?, ?)",
        )
        .bind(Status::Refunded.as_str())
        .bind(order.id)
        .bind(Status::Cancelled.as_str())
        .bind(Status::Expired.as_str())
        .bind(Status::Parked.as_str())
        .execute(&mut *transaction)
        .await?;
        if refunded.rows_affected() == 0 {
            return Ok(());
        }
        order_history::append(&mut transaction, &[order.id], &Actor::System.into()).await?;
        let reason: Option<String> = sqlx::query_scalar("SELECT reason FROM orders WHERE id = ?")
            .bind(order.id)
            .fetch_one(&mut *transaction)
            .await?;
        let reason = facts([("reason", json!(reason))]);
        let event = Event::of_order(EventType::OrderRefunded, order, reason);
        self.finish(transaction, &[event]).await
    }

    /// Leaves an order that is not settled to an operator, with what went wrong.
    pub async fn park_order(&self, id: Uuid, error: &str) -> Result<(), Error> {
        let error: String = error.chars().take(LONGEST_ERROR).collect();
        retrying(|| self.try_park_order(id, &error)).await
    }

    async fn try_park_order(&self, id: Uuid, error: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let parked = sqlx::query(
            "UPDATE orders SET status = ?, version = version + 1, error = ? \
             WHERE id = ? AND settled = 0 AND status NOT IN (?, ?)",
        )
        .bind(Status::Parked.as_str())
        .bind(error)
        .bind(id)
        .bind(Status::Parked.as_str())
        // The money is back: nothing is left for a person to do.
        .bind(Status::Refunded.as_str())
        .execute(&mut *transaction)
        .await?;
        if parked.rows_affected() > 0 {
            order_history::append(&mut transaction, &[id], &Actor::System.into()).await?;
        }
        Ok(transaction.commit().await?)
    }
}

fn ending(order: &Order, reason: Reason) -> Vec<Event> {
    let mut types = Vec::new();
    if matches!(
        reason,
        Reason::PaymentDeclined | Reason::PaymentFailed | Reason::PaymentTimeout
    ) {
        types.push(EventType::PaymentFailed);
    }
    types.push(EventType::InventoryReleased);
    types.push(match reason.status() {
        Status::Expired => EventType::OrderExpired,
        _ => EventType::OrderCancelled,
    });
    let why: Map<String, Value> = facts([("reason", json!(reason))]);
    types
        .into_iter()
        .map(|event_type| Event::of_order(event_type, order, why.clone()))
        .collect()
}
