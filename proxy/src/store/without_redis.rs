//! Orders that are sold while Redis is away: whether there is stock for them, and which of them Redis
//! has still to be told of.

use std::collections::HashMap;

use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::order_rows::{COLUMNS, with_lines};
use super::{Error, Store};
use crate::orders::{Order, OrderLine};

/// Orders that were written longer ago than this and are not decided are not waited for, seconds: the
/// commit has the last word.
const WAITED_FOR_SECONDS: i64 = 60;

impl Store {
    /// Whether the unsold stock suffices for this order and for all undecided ones that were written
    /// before it: so that of many who want the last unit one is asked for money. No lock is taken;
    /// the guard of the commit is what keeps stock from being sold twice.
    pub async fn has_stock_for(&self, order: &Order) -> Result<bool, Error> {
        let mut query = QueryBuilder::new(
            "SELECT p.sku, p.stock - CAST((SELECT COALESCE(SUM(l.quantity), 0) FROM order_lines l \
             WHERE l.sku = p.sku AND l.order_id >= ",
        );
        query.push_bind(oldest_at(order.created_at));
        query.push(" AND l.order_id < ").push_bind(order.id);
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM hold_outcomes h WHERE h.order_id = l.order_id)) AS SIGNED) \
             FROM products p WHERE p.sku IN (",
        );
        let mut skus = query.separated(", ");
        for line in &order.lines {
            skus.push_bind(line.sku.as_str());
        }
        let left: Vec<(String, i64)> = query
            .push(")")
            .build_query_as()
            .fetch_all(&self.primary.pool().await?)
            .await?;
        let left: HashMap<&str, i64> = left.iter().map(|(sku, units)| (&**sku, *units)).collect();
        let suffices = |line: &OrderLine| {
            left.get(line.sku.as_str())
                .is_some_and(|left| *left >= line.quantity)
        };
        Ok(order.lines.iter().all(suffices))
    }

    /// The orders that are sold and not settled: Redis may not have been told of them.
    pub async fn unsettled_sales(&self) -> Result<Vec<Uuid>, Error> {
        let ids =
            sqlx::query_scalar("SELECT id FROM orders WHERE settled = 0 AND status = 'CONFIRMED'");
        Ok(ids.fetch_all(&self.primary.pool().await?).await?)
    }

    /// Those of these orders that there are.
    pub async fn orders(&self, ids: &[Uuid]) -> Result<Vec<Order>, Error> {
        let mut query =
            QueryBuilder::new(format!("SELECT {COLUMNS} FROM orders o WHERE o.id IN ("));
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        let rows = query
            .push(")")
            .build()
            .fetch_all(&self.primary.pool().await?)
            .await?;
        with_lines(&self.primary.pool().await?, &rows).await
    }

    /// Has recovery take up at once what it has put off while Redis was away: orders that are decided
    /// and not settled.
    pub async fn hasten_decided(&self) -> Result<(), Error> {
        sqlx::query(
            "UPDATE orders SET lease_until = NOW(3), attempts = 0 WHERE settled = 0 \
             AND lease_until > NOW(3) AND status IN ('CONFIRMED', 'CANCELLED', 'EXPIRED', 'REFUNDED')",
        )
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(())
    }
}

/// The smallest id of an order that was written [`WAITED_FOR_SECONDS`] before: UUIDv7 begins with the
/// time.
fn oldest_at(time: OffsetDateTime) -> Uuid {
    let since = time.unix_timestamp().saturating_sub(WAITED_FOR_SECONDS);
    let milliseconds = u128::from(since.unsigned_abs()) * 1_000;
    Uuid::from_u128(milliseconds << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_last_minute_are_behind_the_oldest() {
        let now = OffsetDateTime::now_utc();
        let id_of = |seconds_ago: i64| {
            let at = (now.unix_timestamp() - seconds_ago).unsigned_abs();
            let context = uuid::NoContext;
            Uuid::new_v7(uuid::Timestamp::from_unix(context, at, 0))
        };
        let oldest = oldest_at(now);
        assert!(id_of(WAITED_FOR_SECONDS - 1) > oldest);
        assert!(id_of(WAITED_FOR_SECONDS + 1) < oldest);
    }
}
