//! The best that one transaction an order can do: the same rows as Holdfast writes, and the hot row locked last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_proxy::events::EventType;

use super::shop::{SKU, Shop, insert_order, order};

const EVENTS: [EventType; 5] = [
    EventType::SagaStarted,
    EventType::InventoryReserved,
    EventType::OrderCreated,
    EventType::PaymentProcessed,
    EventType::OrderConfirmed,
];

/// Buys one unit, and answers how long that took.
pub async fn buy(shop: Arc<Shop>) -> Result<Duration> {
    let order = order()?;
    let began = Instant::now();
    let mut transaction = shop.pool.begin().await?;
    insert_order(&mut transaction, &order, &EVENTS).await?;
    sqlx::query("INSERT INTO hold_outcomes (order_id, outcome) VALUES (?, 'COMMITTED')")
        .bind(order.id)
        .execute(&mut *transaction)
        .await?;
    let sold = sqlx::query(
        "UPDATE products SET stock = stock - 1, version = version + 1 WHERE sku = ? AND stock >= 1",
    )
    .bind(SKU)
    .execute(&mut *transaction)
    .await?;
    ensure!(sold.rows_affected() == 1, "out of stock");
    sqlx::query(
        "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, acknowledged_at) \
         SELECT sku, -1, stock, 'sold', ?, NOW(3) FROM products WHERE sku = ?",
    )
    .bind(order.id)
    .bind(SKU)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(began.elapsed())
}
