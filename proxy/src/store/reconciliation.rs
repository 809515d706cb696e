//! What the reconciler reads of `products`, `orders`, `hold_outcomes` and `inventory_logs`: many
//! SKUs at a time, in one snapshot.

use std::collections::{HashMap, HashSet};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, MySql, QueryBuilder, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::outbox::SILENCE_SECONDS;
use super::primary::Target;
use super::{Error, Store};
use crate::catalogue::Sku;
use crate::orders::may_be_taken_again;
use crate::reconcile::decision::{Change, KnownOrder, Outcome, Truth};

/// Ids to a statement, well below MySQL's 65,535 parameters.
const IDS_AT_ONCE: usize = 1_000;

/// A transaction that sees the database as it was when the transaction began.
type Snapshot<'c> = sqlx::Transaction<'c, MySql>;

/// The right to reconcile: one proxy of a database has it at a time. Two would do no harm, only
/// the work twice. It is a lock of the server (GET_LOCK), freed when the connection ends, and the
/// connection ends when nothing is heard on it: who stands still must not keep it.
pub struct ReconcileLock {
    server: Target,
    connection: PoolConnection<MySql>,
}

impl Store {
    /// Takes the right to reconcile, unless another proxy has it.
    pub async fn lock_reconcile(&self) -> Result<Option<ReconcileLock>, Error> {
        self.answered(self.try_lock_reconcile()).await
    }

    async fn try_lock_reconcile(&self) -> Result<Option<ReconcileLock>, Error> {
        let server = self.primary.target().await?;
        let mut connection = server.pool().acquire().await?;
        // A pooled connection would keep the lock after its return, so this one ends with it.
        connection.close_on_drop();
        sqlx::query("SET SESSION wait_timeout = ?")
            .bind(SILENCE_SECONDS)
            .execute(&mut *connection)
            .await?;
        // A lock's name has at most 64 characters, and so has a database's. MySQL 9 has no SHA1.
        let taken: Option<i64> = sqlx::query_scalar(
            "SELECT GET_LOCK(CONCAT('holdfast.reconcile.', LEFT(SHA2(DATABASE(), 256), 40)), 0)",
        )
        .fetch_one(&mut *connection)
        .await?;
        Ok((taken == Some(1)).then_some(ReconcileLock { server, connection }))
    }

    /// At most `limit` SKUs in their order, beginning behind `after`.
    pub async fn sku_page(&self, after: Option<&Sku>, limit: u32) -> Result<Vec<Sku>, Error> {
        let skus: Vec<String> =
            sqlx::query_scalar("SELECT sku FROM products WHERE sku > ? ORDER BY sku LIMIT ?")
                .bind(after.map_or("", Sku::as_str))
                .bind(limit)
                .fetch_all(&self.primary.pool().await?)
                .await?;
        skus.iter().map(|sku| parse(sku)).collect()
    }

    /// How many products there are.
    pub async fn product_count(&self) -> Result<i64, Error> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM products");
        Ok(count.fetch_one(&self.primary.pool().await?).await?)
    }

    /// What one snapshot shows of each of `skus` that is a product: with the orders that `named`
    /// names, and (if `with_in_flight`) those that are unsettled. The ages of orders are as of
    /// `now`.
    pub async fn truths(
        &self,
        skus: &[&Sku],
        named: &[(&Sku, Uuid)],
        with_in_flight: bool,
        now: OffsetDateTime,
    ) -> Result<HashMap<Sku, Truth>, Error> {
        let mut connection = self.primary.pool().await?.acquire().await?;
        // The default of both servers, unless somebody has changed it.
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .execute(&mut *connection)
            .await?;
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        let mut snapshot = connection.begin_with(begin).await?;
        let mut truths = stocks(&mut snapshot, skus).await?;
        add_unacknowledged(&mut snapshot, skus, &mut truths).await?;
        let mut lines: Vec<(Sku, Uuid, i64)> = named
            .iter()
            .map(|(sku, order)| ((*sku).clone(), *order, 0))
            .collect();
        if with_in_flight {
            lines.extend(lines_in_flight(&mut snapshot, skus).await?);
        }
        add_orders(&mut snapshot, &lines, now, &mut truths).await?;
        snapshot.rollback().await?;
        Ok(truths)
    }

    /// Writes that an order was ABORTED which no saga and no recovery will decide. False when it
    /// is decided already, or in flight after all.
    pub async fn abort_orphan(&self, order: Uuid) -> Result<bool, Error> {
        let inserted = sqlx::query(
            "INSERT IGNORE INTO hold_outcomes (order_id, outcome) SELECT ?, 'ABORTED' FROM DUAL \
             WHERE NOT EXISTS (SELECT 1 FROM orders WHERE id = ? AND settled = 0)",
        )
        .bind(order)
        .bind(order)
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }
}

impl ReconcileLock {
    /// Keeps it. Fails when the connection has ended, and the lock with it, and where nothing can be
    /// committed: what a primary that was cut off believes must correct nobody.
    pub async fn keep(&mut self) -> Result<(), Error> {
        let word = async {
            let committed = "UPDATE replica_heartbeat SET beat = beat + 1 WHERE id = 1";
            sqlx::query(committed)
                .execute(&mut *self.connection)
                .await?;
            Ok(())
        };
        self.server.answers(word).await
    }
}

async fn stocks(snapshot: &mut Snapshot<'_>, skus: &[&Sku]) -> Result<HashMap<Sku, Truth>, Error> {
    let mut truths = HashMap::with_capacity(skus.len());
    for chunk in skus.chunks(IDS_AT_ONCE) {
        let mut query = QueryBuilder::new("SELECT sku, stock FROM products WHERE sku IN (");
        push_list(&mut query, chunk.iter().map(|sku| sku.as_str()));
        for row in query.build().fetch_all(&mut **snapshot).await? {
            let truth = Truth {
                stock: row.try_get("stock")?,
                ..Truth::default()
            };
            truths.insert(parse(row.try_get("sku")?)?, truth);
        }
    }
    Ok(truths)
}

async fn add_unacknowledged(
    snapshot: &mut Snapshot<'_>,
    skus: &[&Sku],
    truths: &mut HashMap<Sku, Truth>,
) -> Result<(), Error> {
    for chunk in skus.chunks(IDS_AT_ONCE) {
        // By the SKU, the servers would read every sale that the log has of it.
        let mut query = QueryBuilder::new(
            "SELECT sku, adjustment_id, delta, order_id FROM inventory_logs FORCE INDEX (inventory_logs_unacknowledged) \
             WHERE acknowledged_at IS NULL AND adjustment_id IS NOT NULL AND sku IN (",
        );
        push_list(&mut query, chunk.iter().map(|sku| sku.as_str()));
        for row in query.build().fetch_all(&mut **snapshot).await? {
            if let Some(truth) = truths.get_mut(&parse(row.try_get("sku")?)?) {
                truth.unacknowledged.push(Change {
                    adjustment_id: row.try_get("adjustment_id")?,
                    delta: row.try_get("delta")?,
                    order: row.try_get("order_id")?,
                });
            }
        }
    }
    Ok(())
}

/// The lines of unsettled orders. Those orders are few, the orders of a SKU many.
async fn lines_in_flight(
    snapshot: &mut Snapshot<'_>,
    skus: &[&Sku],
) -> Result<Vec<(Sku, Uuid, i64)>, Error> {
    let mut lines = Vec::new();
    for chunk in skus.chunks(IDS_AT_ONCE) {
        let mut query = QueryBuilder::new(
            "SELECT STRAIGHT_JOIN l.sku, o.id, l.quantity FROM orders o FORCE INDEX (orders_unsettled) \
             JOIN order_lines l ON l.order_id = o.id WHERE o.settled = 0 AND l.sku IN (",
        );
        push_list(&mut query, chunk.iter().map(|sku| sku.as_str()));
        for row in query.build().fetch_all(&mut **snapshot).await? {
            let sku = parse(row.try_get("sku")?)?;
            lines.push((sku, row.try_get("id")?, row.try_get("quantity")?));
        }
    }
    Ok(lines)
}

/// Puts what is known of each line's order to its SKU; of an order that has neither a row nor an
/// outcome, nothing is.
async fn add_orders(
    snapshot: &mut Snapshot<'_>,
    lines: &[(Sku, Uuid, i64)],
    now: OffsetDateTime,
    truths: &mut HashMap<Sku, Truth>,
) -> Result<(), Error> {
    let orders: HashSet<Uuid> = lines.iter().map(|(_, order, _)| *order).collect();
    let orders: Vec<Uuid> = orders.into_iter().collect();
    let mut known = HashMap::with_capacity(orders.len());
    let mut returned = HashSet::new();
    for chunk in orders.chunks(IDS_AT_ONCE) {
        read_orders(snapshot, chunk, now, &mut known).await?;
        read_outcomes(snapshot, chunk, &mut known).await?;
        read_returned(snapshot, chunk, &mut returned).await?;
    }
    for (sku, order, quantity) in lines {
        let (Some(truth), Some(facts)) = (truths.get_mut(sku), known.get(order)) else {
            continue;
        };
        let entry = truth.orders.entry(*order).or_insert(KnownOrder {
            is_returned: returned.contains(&(*order, sku.clone())),
            ..*facts
        });
        entry.quantity = entry.quantity.max(*quantity);
    }
    Ok(())
}

async fn read_orders(
    snapshot: &mut Snapshot<'_>,
    orders: &[Uuid],
    now: OffsetDateTime,
    known: &mut HashMap<Uuid, KnownOrder>,
) -> Result<(), Error> {
    let mut query = QueryBuilder::new("SELECT id, settled, created_at FROM orders WHERE id IN (");
    push_list(&mut query, orders.iter().copied());
    for row in query.build().fetch_all(&mut **snapshot).await? {
        let facts = KnownOrder {
            is_settled: row.try_get("settled")?,
            may_be_taken_again: may_be_taken_again(row.try_get("created_at")?, now),
            ..UNRECORDED
        };
        known.insert(row.try_get("id")?, facts);
    }
    Ok(())
}

async fn read_outcomes(
    snapshot: &mut Snapshot<'_>,
    orders: &[Uuid],
    known: &mut HashMap<Uuid, KnownOrder>,
) -> Result<(), Error> {
    let mut query =
        QueryBuilder::new("SELECT order_id, outcome FROM hold_outcomes WHERE order_id IN (");
    push_list(&mut query, orders.iter().copied());
    for row in query.build().fetch_all(&mut **snapshot).await? {
        let word: String = row.try_get("outcome")?;
        let outcome = match word.as_str() {
            "COMMITTED" => Outcome::Committed,
            "ABORTED" => Outcome::Aborted,
            _ => return Err(unreadable(&word).into()),
        };
        let facts = known.entry(row.try_get("order_id")?).or_insert(UNRECORDED);
        facts.outcome = Some(outcome);
    }
    Ok(())
}

/// The lines of cancelled sales whose units Redis has taken back.
async fn read_returned(
    snapshot: &mut Snapshot<'_>,
    orders: &[Uuid],
    returned: &mut HashSet<(Uuid, Sku)>,
) -> Result<(), Error> {
    // A sale is logged with its order too, but without an adjustment id.
    let mut query = QueryBuilder::new(
        "SELECT order_id, sku FROM inventory_logs \
         WHERE adjustment_id IS NOT NULL AND acknowledged_at IS NOT NULL AND order_id IN (",
    );
    push_list(&mut query, orders.iter().copied());
    for row in query.build().fetch_all(&mut **snapshot).await? {
        returned.insert((row.try_get("order_id")?, parse(row.try_get("sku")?)?));
    }
    Ok(())
}

/// An order without a row, which nobody will settle.
const UNRECORDED: KnownOrder = KnownOrder {
    quantity: 0,
    outcome: None,
    is_settled: true,
    is_returned: false,
    may_be_taken_again: false,
};

fn push_list<'a, T>(query: &mut QueryBuilder<MySql>, values: impl Iterator<Item = T>)
where
    T: 'a + sqlx::Encode<'a, MySql> + sqlx::Type<MySql>,
{
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    list.push_unseparated(")");
}

fn parse(sku: &str) -> Result<Sku, Error> {
    Ok(sku.parse().map_err(|_| unreadable(sku))?)
}

fn unreadable(value: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("'{value}' is nothing that holdfast writes").into())
}
