//! The commit point of an order.

use serde_json::json;

use super::super::orders::{ABORTED, COMMITTED, decide, facts, outcome_of, retrying};
use super::super::{Error, Store};
use crate::catalogue::Sku;
use crate::events::{Event, EventType};
use crate::orders::{Order, Status};

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

impl Store {
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
}
