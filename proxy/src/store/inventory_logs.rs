//! The table `inventory_logs`: every change of stock, with what caused it and whether Redis
//! has taken it.

use std::collections::HashSet;

use sqlx::{MySql, QueryBuilder};

use super::{Error, Store, Transaction};
use crate::catalogue::Sku;
use crate::catalogue::stock_change::{AdjustmentId, Earlier, Reason};

/// A change as the log has it.
pub struct Logged {
    /// Whose stock changes.
    pub sku: Sku,
    /// Units to add.
    pub delta: i64,
    /// True when there were none before.
    pub is_first: bool,
    /// The id under which Redis applies it once.
    pub adjustment_id: AdjustmentId,
    /// Whether Redis has it.
    pub delivered: bool,
}

impl Store {
    /// At most `limit` ids of changes that Redis has not acknowledged, oldest first, beginning
    /// behind `after`. What an order has returned is not among them: its saga delivers it.
    pub async fn unacknowledged_changes(&self, after: i64, limit: u32) -> Result<Vec<i64>, Error> {
        let ids = sqlx::query_scalar(
            "SELECT id FROM inventory_logs
             WHERE acknowledged_at IS NULL AND adjustment_id IS NOT NULL AND order_id IS NULL AND id > ?
             ORDER BY id LIMIT ?",
        );
        Ok(ids
            .bind(after)
            .bind(limit)
            .fetch_all(&self.primary.pool().await?)
            .await?)
    }

    /// Those of `skus` whose stock was changed under `id` before.
    pub async fn skus_adjusted_under(
        &self,
        id: &AdjustmentId,
        skus: &[&Sku],
    ) -> Result<HashSet<Sku>, Error> {
        let mut found = HashSet::new();
        for chunk in skus.chunks(500) {
            let mut query =
                QueryBuilder::<MySql>::new("SELECT sku FROM inventory_logs WHERE adjustment_id = ");
            query.push_bind(id.as_str()).push(" AND sku IN ");
            query.push_tuples(chunk, |mut row, sku| {
                row.push_bind(sku.as_str());
            });
            let rows: Vec<String> = query
                .build_query_scalar()
                .fetch_all(&self.primary.pool().await?)
                .await?;
            found.extend(rows.iter().filter_map(|sku| sku.parse().ok()));
        }
        Ok(found)
    }
}

/// The change of `sku` recorded under `id`, if there is one.
pub async fn find(
    transaction: &mut Transaction,
    sku: &Sku,
    id: &AdjustmentId,
) -> Result<Option<Earlier>, Error> {
    let row: Option<(i64, i64, i64, String, bool)> = sqlx::query_as(
        "SELECT id, delta, stock_after, reason, acknowledged_at IS NOT NULL
         FROM inventory_logs WHERE sku = ? AND adjustment_id = ?",
    )
    .bind(sku.as_str())
    .bind(id.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(
        row.map(|(log_id, delta, stock_after, reason, delivered)| Earlier {
            log_id,
            delta,
            stock_after,
            reason,
            delivered,
        }),
    )
}

/// Records a change that Redis is still to be told of, and answers its row's id.
pub async fn insert(
    transaction: &mut Transaction,
    sku: &Sku,
    (delta, stock_after): (i64, i64),
    reason: Reason,
    id: &AdjustmentId,
) -> Result<i64, Error> {
    let inserted = sqlx::query(
        "INSERT INTO inventory_logs (sku, delta, stock_after, reason, adjustment_id) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(sku.as_str())
    .bind(delta)
    .bind(stock_after)
    .bind(reason.as_str())
    .bind(id.as_str())
    .execute(&mut **transaction)
    .await?;
    Ok(inserted.last_insert_id().cast_signed())
}

/// Locks a named change until the transaction ends; `None` when it was taken back.
pub async fn lock(transaction: &mut Transaction, log_id: i64) -> Result<Option<Logged>, Error> {
    let row: Option<(String, i64, bool, String, bool)> = sqlx::query_as(
        "SELECT sku, delta, stock_after = delta, adjustment_id, acknowledged_at IS NOT NULL
         FROM inventory_logs WHERE id = ? AND adjustment_id IS NOT NULL FOR UPDATE",
    )
    .bind(log_id)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some((sku, delta, is_first, id, delivered)) = row else {
        return Ok(None);
    };
    let sku = sku
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let adjustment_id = id
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Some(Logged {
        sku,
        delta,
        is_first,
        adjustment_id,
        delivered,
    }))
}

/// Notes that Redis has a change.
pub async fn acknowledge(transaction: &mut Transaction, log_id: i64) -> Result<(), Error> {
    let update = sqlx::query(
        "UPDATE inventory_logs SET acknowledged_at = CURRENT_TIMESTAMP(3) WHERE id = ?",
    );
    update.bind(log_id).execute(&mut **transaction).await?;
    Ok(())
}

/// Takes the record of a change back, so that its id may be used again.
pub async fn delete(transaction: &mut Transaction, log_id: i64) -> Result<(), Error> {
    sqlx::query("DELETE FROM inventory_logs WHERE id = ?")
        .bind(log_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
