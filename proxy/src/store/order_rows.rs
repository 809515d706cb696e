//! Tables `orders`, `order_lines` and `idempotency_keys`: finding orders again.

use std::collections::HashMap;

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlPool, QueryBuilder, Row};
use uuid::Uuid;

use super::{Error, Freshness, Store};
use crate::orders::{Order, OrderLine, Status};

/// The order that an idempotency key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRequest {
    /// SHA-256 of what was asked for then.
    pub request_hash: Vec<u8>,
    /// The order it led to.
    pub order_id: Uuid,
}

/// What the tables say of an order beyond the order itself.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderStanding {
    /// The provider's name for the payment, once it has one.
    pub payment_id: Option<String>,
    /// What was decided of its holds, for ever: COMMITTED, ABORTED or nothing yet.
    pub outcome: Option<String>,
    /// Nothing is left to do for it.
    pub is_settled: bool,
    /// Why it is PARKED.
    pub error: Option<String>,
}

/// What [`read_order`] needs of a row of `orders o`.
pub(super) const COLUMNS: &str = "o.id, o.user_id, o.status, CAST(o.total * 100 AS SIGNED) AS total_minor, \
                       o.currency, o.reason, o.from_cart, o.created_at";

impl Store {
    /// One order, to decide by.
    pub async fn order(&self, id: Uuid) -> Result<Option<Order>, Error> {
        order(self.primary.pool().await?, id).await
    }

    /// One order, to be shown. While the primary is away a replica shows what it has, and of an order that it does not
    /// know nothing is said.
    ///
    /// # Errors
    /// When no server that answers can know.
    pub async fn order_to_show(&self, id: Uuid) -> Result<Option<Order>, Error> {
        let found = self.read(Freshness::NewestThereIs, async |pool| {
            let order = order(pool, id).await?;
            order.ok_or(Error::Database(sqlx::Error::RowNotFound))
        });
        match found.await {
            Err(Error::Database(sqlx::Error::RowNotFound)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// What the tables say of an order beyond the order itself.
    pub async fn order_standing(&self, id: Uuid) -> Result<OrderStanding, Error> {
        let standing = sqlx::query_as(
            "SELECT o.payment_id, h.outcome, o.settled <> 0 AS is_settled, o.error \
             FROM orders o LEFT JOIN hold_outcomes h ON h.order_id = o.id WHERE o.id = ?",
        );
        Ok(standing
            .bind(id)
            .fetch_one(&self.primary.pool().await?)
            .await?)
    }

    /// What a request with this key led to, if it came before.
    pub async fn known_request(
        &self,
        scope: Uuid,
        key: &str,
    ) -> Result<Option<KnownRequest>, Error> {
        let row = sqlx::query(
            "SELECT request_hash, order_id, expires_at <= NOW(3) AS expired FROM idempotency_keys \
             WHERE scope = ? AND idempotency_key = ?",
        )
        .bind(scope)
        .bind(key)
        .fetch_optional(&self.primary.pool().await?)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let order_id = row.try_get("order_id")?;
        if row.try_get("expired")? {
            // As long as its row stands, the key cannot be used again.
            self.forget_request(scope, key, order_id).await?;
            return Ok(None);
        }
        Ok(Some(KnownRequest {
            request_hash: row.try_get("request_hash")?,
            order_id,
        }))
    }

    /// Forgets a key that has expired or whose order came to nothing, so that it can be used anew.
    pub async fn forget_request(&self, scope: Uuid, key: &str, order: Uuid) -> Result<(), Error> {
        sqlx::query(
            "DELETE FROM idempotency_keys WHERE scope = ? AND idempotency_key = ? AND order_id = ?",
        )
        .bind(scope)
        .bind(key)
        .bind(order)
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(())
    }

    /// Removes keys that have expired, at most `limit`, and answers how many.
    pub async fn forget_expired_requests(&self, limit: u32) -> Result<u64, Error> {
        let removed =
            sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= NOW(3) LIMIT ?")
                .bind(limit)
                .execute(&self.primary.pool().await?)
                .await?;
        Ok(removed.rows_affected())
    }
}

async fn order(pool: MySqlPool, id: Uuid) -> Result<Option<Order>, Error> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM orders o WHERE o.id = "));
    let rows = query.push_bind(id).build().fetch_all(&pool).await?;
    Ok(with_lines(&pool, &rows).await?.pop())
}

pub(super) async fn with_lines(pool: &MySqlPool, rows: &[MySqlRow]) -> Result<Vec<Order>, Error> {
    let orders = each_with_lines(pool, rows).await?;
    orders.into_iter().map(|(_, order)| order).collect()
}

/// The orders of these rows with their lines; what cannot be read spoils no other.
pub(super) async fn each_with_lines(
    pool: &MySqlPool,
    rows: &[MySqlRow],
) -> Result<Vec<(Uuid, Result<Order, Error>)>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::new(
        "SELECT order_id, sku, quantity, CAST(price * 100 AS SIGNED) AS price_minor \
         FROM order_lines WHERE order_id IN (",
    );
    let mut ids = query.separated(", ");
    for row in rows {
        ids.push_bind(row.try_get::<Uuid, _>("id")?);
    }
    query.push(") ORDER BY order_id, sku");
    let mut lines: HashMap<Uuid, Result<Vec<OrderLine>, sqlx::Error>> = HashMap::new();
    for row in query.build().fetch_all(pool).await? {
        let lines = lines
            .entry(row.try_get("order_id")?)
            .or_insert(Ok(Vec::new()));
        match (lines.as_mut(), read_line(&row)) {
            (Ok(lines), Ok(line)) => lines.push(line),
            (Ok(_), Err(error)) => *lines = Err(error),
            (Err(_), _) => {}
        }
    }
    let orders = rows.iter().map(|row| {
        let id = row.try_get("id")?;
        let order = lines
            .remove(&id)
            .unwrap_or(Ok(Vec::new()))
            .and_then(|lines| read_order(row).map(|order| Order { lines, ..order }));
        Ok((id, order.map_err(Error::from)))
    });
    orders.collect()
}

fn read_order(row: &MySqlRow) -> Result<Order, sqlx::Error> {
    let status: String = row.try_get("status")?;
    let status = Status::from_word(&status).ok_or_else(|| unreadable(&status))?;
    Ok(Order {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        lines: Vec::new(),
        total_minor: row.try_get("total_minor")?,
        currency: row.try_get("currency")?,
        status,
        reason: row.try_get("reason")?,
        from_cart: row.try_get("from_cart")?,
        created_at: row.try_get("created_at")?,
    })
}

fn read_line(row: &MySqlRow) -> Result<OrderLine, sqlx::Error> {
    let sku: String = row.try_get("sku")?;
    let quantity: i64 = row.try_get("quantity")?;
    let price_minor: i64 = row.try_get("price_minor")?;
    Ok(OrderLine {
        sku: sku.parse().map_err(|_| unreadable(&sku))?,
        quantity,
        price_minor,
        amount_minor: price_minor.saturating_mul(quantity),
    })
}

pub(super) fn unreadable(value: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("'{value}' is nothing that holdfast writes").into())
}
