//! Cancelling a sold order: its units go back into the stock, first here, then in Redis.

use serde_json::json;
use uuid::Uuid;

use super::orders::{COMMITTED, facts, retrying};
use super::{Error, Store, buyer_purchases, order_history};
use crate::events::{Event, EventType};
use crate::orders::{Author, Order, Reason, Status};

/// What became of cancelling a sold order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled, now or by whoever came first.
    Cancelled,
    /// It is none that can be cancelled, or no longer.
    TooLate,
}

/// The id under which Redis takes the units of a cancelled order back, once.
pub fn return_id(order: Uuid) -> String {
    format!("return-{order}")
}

impl Store {
    /// Cancels a sold order, if it was sold less than `window_ms` ago where there is such a window;
    /// `author` is who does. It is not settled again until Redis has its units and the buyer the
    /// money; `lease_ms` is the time in which nobody else takes that up.
    pub async fn cancel_order(
        &self,
        order: &Order,
        reason: Reason,
        author: &Author,
        window_ms: Option<u64>,
        lease_ms: u64,
    ) -> Result<Cancelled, Error> {
        retrying(|| self.try_cancel_order(order, reason, author, window_ms, lease_ms)).await
    }

    async fn try_cancel_order(
        &self,
        order: &Order,
        reason: Reason,
        author: &Author,
        window_ms: Option<u64>,
        lease_ms: u64,
    ) -> Result<Cancelled, Error> {
        let mut transaction = self.begin().await?;
        let is_recent: Option<bool> = sqlx::query_scalar(
            "SELECT ? IS NULL OR decided_at > NOW(3) - INTERVAL ? * 1000 MICROSECOND FROM hold_outcomes \
             WHERE order_id = ? AND outcome = ? LOCK IN SHARE MODE",
        )
        .bind(window_ms)
        .bind(window_ms)
        .bind(order.id)
        .bind(COMMITTED)
        .fetch_optional(&mut *transaction)
        .await?;
        let status: Option<String> =
            sqlx::query_scalar("SELECT status FROM orders WHERE id = ? FOR UPDATE")
                .bind(order.id)
                .fetch_optional(&mut *transaction)
                .await?;
        let status = status.as_deref().and_then(Status::from_word);
        match (is_recent, status) {
            (Some(_), Some(Status::Cancelled | Status::Refunded)) => {
                return Ok(Cancelled::Cancelled);
            }
            (Some(true), Some(Status::Confirmed)) => {}
            _ => return Ok(Cancelled::TooLate),
        }
        sqlx::query(
            "UPDATE orders SET status = ?, version = version + 1, reason = ?, settled = 0, attempts = 0, \
             lease_until = NOW(3) + INTERVAL ? * 1000 MICROSECOND WHERE id = ?",
        )
        .bind(Status::Cancelled.as_str())
        .bind(reason.as_str())
        .bind(lease_ms)
        .bind(order.id)
        .execute(&mut *transaction)
        .await?;
        order_history::append(&mut transaction, &[order.id], author).await?;
        for line in &order.lines {
            sqlx::query(
                "UPDATE products SET stock = stock + ?, version = version + 1 WHERE sku = ?",
            )
            .bind(line.quantity)
            .bind(line.sku.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, adjustment_id) \
             SELECT l.sku, l.quantity, p.stock, 'returned', l.order_id, ? \
             FROM order_lines l JOIN products p ON p.sku = l.sku WHERE l.order_id = ?",
        )
        .bind(return_id(order.id))
        .bind(order.id)
        .execute(&mut *transaction)
        .await?;
        buyer_purchases::give_back(&mut transaction, order).await?;
        let balances: Vec<(String, i64)> = sqlx::query_as(
            "SELECT sku, stock_after FROM inventory_logs WHERE order_id = ? AND adjustment_id = ? ORDER BY sku",
        )
        .bind(order.id)
        .bind(return_id(order.id))
        .fetch_all(&mut *transaction)
        .await?;
        let balances = balances
            .into_iter()
            .map(|(sku, stock)| json!({ "sku": sku, "stock": stock }));
        let facts = facts([("reason", json!(reason)), ("balances", balances.collect())]);
        let event = Event::of_order(EventType::OrderCancelled, order, facts);
        self.finish(transaction, &[event]).await?;
        Ok(Cancelled::Cancelled)
    }

    /// Writes down that Redis has the units of a cancelled order.
    pub async fn acknowledge_return(&self, order: Uuid) -> Result<(), Error> {
        sqlx::query(
            "UPDATE inventory_logs SET acknowledged_at = NOW(3) \
             WHERE order_id = ? AND adjustment_id = ? AND acknowledged_at IS NULL",
        )
        .bind(order)
        .bind(return_id(order))
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(())
    }
}
