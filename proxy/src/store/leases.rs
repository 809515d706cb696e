//! Whose an unsettled order is: a lease in its row, renewed by who runs its saga and taken by
//! whoever finds it run out.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::order_rows::{COLUMNS, each_with_lines};
use super::orders::COMMITTED;
use super::{Error, Store};
use crate::orders::{Order, Status};

/// An order whose saga nobody runs any more.
#[derive(Debug)]
pub struct StaleOrder {
    /// Its id.
    pub id: Uuid,
    /// As it stands in the tables, if they can be read.
    pub order: Result<Order, Error>,
    /// What `hold_outcomes` says: COMMITTED, ABORTED or nothing.
    pub is_committed: Option<bool>,
    /// True when it is older than a payment may take.
    pub is_overdue: bool,
    /// How often recovery has taken it up before.
    pub attempts: u32,
}

impl Store {
    /// Takes the lease of unsettled orders whose lease has run out, at most `limit`. Parked ones
    /// are an operator's. `patience_ms` is how long a payment may take.
    pub async fn claim_stale_orders(
        &self,
        lease_ms: u64,
        patience_ms: u64,
        limit: u32,
    ) -> Result<Vec<StaleOrder>, Error> {
        let mut transaction = self.begin().await?;
        let mut query = QueryBuilder::new(format!(
            "SELECT {COLUMNS}, o.attempts, \
             (SELECT h.outcome FROM hold_outcomes h WHERE h.order_id = o.id) AS outcome, \
             o.created_at < NOW(3) - INTERVAL "
        ));
        query.push_bind(patience_ms).push(
            " * 1000 MICROSECOND AS overdue FROM orders o \
             WHERE o.settled = 0 AND o.lease_until < NOW(3) AND o.status <> ",
        );
        query
            .push_bind(Status::Parked.as_str())
            .push(" ORDER BY o.lease_until LIMIT ")
            .push_bind(limit)
            .push(" FOR UPDATE SKIP LOCKED");
        let rows = query.build().fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut lease = QueryBuilder::new(
            "UPDATE orders SET attempts = attempts + 1, lease_until = NOW(3) + INTERVAL ",
        );
        lease
            .push_bind(lease_ms)
            .push(" * 1000 MICROSECOND WHERE id IN (");
        let mut ids = lease.separated(", ");
        for row in &rows {
            ids.push_bind(row.try_get::<Uuid, _>("id")?);
        }
        lease.push(")").build().execute(&mut *transaction).await?;
        transaction.commit().await?;
        let mut orders: HashMap<Uuid, Result<Order, Error>> =
            each_with_lines(&self.primary.pool().await?, &rows)
                .await?
                .into_iter()
                .collect();
        rows.iter()
            .map(|row| {
                let id = row.try_get("id")?;
                let outcome: Option<String> = row.try_get("outcome")?;
                Ok(StaleOrder {
                    id,
                    order: orders
                        .remove(&id)
                        .unwrap_or(Err(sqlx::Error::RowNotFound.into())),
                    is_committed: outcome.map(|outcome| outcome == COMMITTED),
                    is_overdue: row.try_get("overdue")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    /// Keeps the leases of unsettled orders for `lease_ms` from now. Give `orders` sorted, so that
    /// two renewals cannot deadlock.
    pub async fn renew_leases(&self, orders: &[Uuid], lease_ms: u64) -> Result<(), Error> {
        for orders in orders.chunks(1_000) {
            let mut renewal =
                QueryBuilder::new("UPDATE orders SET lease_until = NOW(3) + INTERVAL ");
            renewal
                .push_bind(lease_ms)
                .push(" * 1000 MICROSECOND WHERE settled = 0 AND id IN (");
            let mut ids = renewal.separated(", ");
            for order in orders {
                ids.push_bind(*order);
            }
            renewal
                .push(")")
                .build()
                .execute(&self.primary.pool().await?)
                .await?;
        }
        Ok(())
    }

    /// Leaves an unsettled order alone for `pause_ms`; then whoever comes first takes it up.
    pub async fn postpone(&self, order: Uuid, pause_ms: u64) -> Result<(), Error> {
        sqlx::query(
            "UPDATE orders SET lease_until = NOW(3) + INTERVAL ? * 1000 MICROSECOND \
             WHERE id = ? AND settled = 0",
        )
        .bind(pause_ms)
        .bind(order)
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(())
    }
}
