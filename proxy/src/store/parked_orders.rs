//! Orders that wait for an operator.

use serde::Serialize;
use sqlx::{QueryBuilder, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::orders::{COMMITTED, retrying};
use super::{Error, Store, order_history};
use crate::orders::{Actor, Reason, Status};

/// An order that is PARKED.
#[derive(Debug, Clone, Serialize)]
pub struct ParkedOrder {
    /// Its id.
    pub order_id: Uuid,
    /// Why it was called off.
    pub reason: Option<String>,
    /// Why it could not be finished.
    pub error: Option<String>,
    /// What the buyer paid or was to pay, minor units.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// When it was placed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Store {
    /// Parked orders, oldest first, at most `limit`.
    pub async fn parked_orders(&self, limit: u32) -> Result<Vec<ParkedOrder>, Error> {
        let rows = sqlx::query(
            "SELECT id, reason, error, CAST(total * 100 AS SIGNED) AS total_minor, currency, created_at \
             FROM orders WHERE settled = 0 AND status = ? ORDER BY id LIMIT ?",
        )
        .bind(Status::Parked.as_str())
        .bind(limit)
        .fetch_all(&self.primary.pool().await?)
        .await?;
        let parked = rows.iter().map(|row| {
            Ok(ParkedOrder {
                order_id: row.try_get("id")?,
                reason: row.try_get("reason")?,
                error: row.try_get("error")?,
                total_minor: row.try_get("total_minor")?,
                currency: row.try_get("currency")?,
                created_at: row.try_get("created_at")?,
            })
        });
        Ok(parked.collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many orders are parked.
    pub async fn count_parked_orders(&self) -> Result<i64, Error> {
        let count =
            sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE settled = 0 AND status = ?")
                .bind(Status::Parked.as_str())
                .fetch_one(&self.primary.pool().await?)
                .await?;
        Ok(count)
    }

    /// Gives a parked order, or all of them, to recovery again, and answers how many. Each gets
    /// back the status that its outcome and its reason say.
    pub async fn retry_parked(&self, order: Option<Uuid>) -> Result<u64, Error> {
        retrying(|| self.try_retry_parked(order)).await
    }

    async fn try_retry_parked(&self, order: Option<Uuid>) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let mut select = QueryBuilder::new("SELECT id FROM orders WHERE settled = 0 AND status = ");
        select.push_bind(Status::Parked.as_str());
        if let Some(order) = order {
            select.push(" AND id = ").push_bind(order);
        }
        let select = select.push(" ORDER BY id FOR UPDATE");
        let parked: Vec<Uuid> = select
            .build_query_scalar()
            .fetch_all(&mut *transaction)
            .await?;
        if parked.is_empty() {
            return Ok(0);
        }
        let mut update = QueryBuilder::new(
            "UPDATE orders o LEFT JOIN hold_outcomes h ON h.order_id = o.id SET o.status = CASE \
             WHEN o.reason IS NULL AND h.outcome = ",
        );
        update
            .push_bind(COMMITTED)
            .push(" THEN ")
            .push_bind(Status::Confirmed.as_str())
            .push(" WHEN o.reason IS NULL THEN ")
            .push_bind(Status::Pending.as_str())
            .push(" WHEN o.reason IN (");
        let mut expired = update.separated(", ");
        let reasons = Reason::ALL.into_iter();
        for reason in reasons.filter(|reason| reason.status() == Status::Expired) {
            expired.push_bind(reason.as_str());
        }
        update
            .push(") THEN ")
            .push_bind(Status::Expired.as_str())
            .push(" ELSE ")
            .push_bind(Status::Cancelled.as_str())
            .push(
                " END, o.error = NULL, o.attempts = 0, o.version = o.version + 1, o.lease_until = NOW(3) \
                 WHERE o.id IN (",
            );
        let mut ids = update.separated(", ");
        for order in &parked {
            ids.push_bind(*order);
        }
        update.push(")").build().execute(&mut *transaction).await?;
        order_history::append(&mut transaction, &parked, &Actor::Operator.into()).await?;
        transaction.commit().await?;
        Ok(parked.len() as u64)
    }
}
