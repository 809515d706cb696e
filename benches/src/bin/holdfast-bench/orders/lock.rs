//! What shops often begin with: a lock in Redis around a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_proxy::events::EventType;
use uuid::Uuid;

use super::shop::{SKU, Shop, insert_order, order};

/// Whoever finds the lock taken asks again after 1 to 5 ms, so that they do not all ask at once.
const PAUSES_US: std::ops::Range<u64> = 1_000..5_000;

/// Deletes the lock if it is still one's own.
const UNLOCK: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Buys one unit under the lock, and answers how long that took.
pub async fn buy(shop: Arc<Shop>) -> Result<Duration> {
    let order = order()?;
    let began = Instant::now();
    let (mut redis, lock, owner) = (
        shop.redis.clone(),
        format!("lock:{SKU}"),
        order.id.to_string(),
    );
    let mut set = redis::cmd("SET");
    set.arg(&lock).arg(&owner).arg(&["NX", "PX", "10000"]);
    while set
        .query_async::<Option<String>>(&mut redis)
        .await?
        .is_none()
    {
        tokio::time::sleep(pause()).await;
    }

    let mut transaction = shop.pool.begin().await?;
    let stock: i64 = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ? FOR UPDATE")
        .bind(SKU)
        .fetch_one(&mut *transaction)
        .await?;
    ensure!(stock >= 1, "out of stock");
    sqlx::query("UPDATE products SET stock = ? WHERE sku = ?")
        .bind(stock - 1)
        .bind(SKU)
        .execute(&mut *transaction)
        .await?;
    insert_order(&mut transaction, &order, &[EventType::OrderConfirmed]).await?;
    transaction.commit().await?;

    let unlocked: i64 = redis::cmd("EVAL")
        .arg(UNLOCK)
        .arg(1)
        .arg(&lock)
        .arg(&owner)
        .query_async(&mut redis)
        .await?;
    ensure!(unlocked == 1, "the lock ran out under a transaction");
    Ok(began.elapsed())
}

fn pause() -> Duration {
    let random = u64::from(Uuid::new_v4().as_fields().0);
    let width = PAUSES_US.end - PAUSES_US.start;
    Duration::from_micros(PAUSES_US.start + random % width)
}
