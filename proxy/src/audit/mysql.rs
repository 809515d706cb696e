//! MySQL, by raw SQL: one consistent snapshot, streamed row by row.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{ConnectOptions, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::Error;
use super::evidence::events::{Message, OUTBOX, Place};
use super::evidence::orders::{Line, Order, Outcome, Status};
use super::evidence::stock::LogRow;
use super::evidence::{Evidence, InFlight};
use crate::config::{self, MysqlHost};

/// A server that has not answered within this is passed over.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects: to the only host, or of several to the one that takes writes, in the newest term.
pub async fn open(config: &config::Mysql) -> Result<MySqlConnection, Error> {
    let mut hosts = config.hosts()?;
    if let (1, Some(only)) = (hosts.len(), hosts.pop()) {
        return Ok(only.options.connect().await?);
    }
    let mut newest = None;
    for host in config.hosts()? {
        let Ok(Ok((term, connection))) = timeout(PATIENCE, writable(&host)).await else {
            continue;
        };
        if newest.as_ref().is_none_or(|(newest, _)| term > *newest) {
            newest = Some((term, connection));
        }
    }
    let (_, connection) = newest.ok_or(Error::NoPrimary)?;
    Ok(connection)
}

async fn writable(host: &MysqlHost) -> Result<(i64, MySqlConnection), Error> {
    let mut connection = host.options.connect().await?;
    let question = "SELECT (SELECT MAX(term) FROM primary_term WHERE @@GLOBAL.read_only = 0)";
    let term: Option<i64> = sqlx::query_scalar(question)
        .fetch_one(&mut connection)
        .await?;
    Ok((term.ok_or(Error::NoPrimary)?, connection))
}

/// The SKUs of all products.
pub async fn product_names(connection: &mut MySqlConnection) -> Result<Vec<String>, Error> {
    Ok(sqlx::query_scalar("SELECT sku FROM products ORDER BY sku")
        .fetch_all(connection)
        .await?)
}

/// What is on its way by MySQL's account; `held_units` is Redis' to say.
pub async fn in_flight(connection: &mut MySqlConnection) -> Result<InFlight, Error> {
    let (orders, parked_orders, oldest_order_ms) = sqlx::query_as(
        "SELECT CAST(COUNT(*) AS UNSIGNED), CAST(COALESCE(SUM(status = 'PARKED'), 0) AS UNSIGNED), \
         CAST(COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3))), 0) / 1000 AS SIGNED) \
         FROM orders WHERE settled = 0",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (stock_changes,) = sqlx::query_as(
        "SELECT CAST(COUNT(*) AS UNSIGNED) FROM inventory_logs WHERE acknowledged_at IS NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (events, parked_events) = sqlx::query_as(
        "SELECT CAST(COUNT(*) AS UNSIGNED), CAST(COUNT(parked_at) AS UNSIGNED) FROM outbox",
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(InFlight {
        orders,
        parked_orders,
        oldest_order_ms,
        stock_changes,
        events,
        parked_events,
        held_units: 0,
    })
}

/// All that is read in one transaction is as of the moment it began.
pub struct Snapshot {
    connection: MySqlConnection,
}

impl Snapshot {
    /// Begins it.
    pub async fn begin(mut connection: MySqlConnection) -> Result<Self, Error> {
        begin(&mut connection).await?;
        Ok(Self { connection })
    }

    /// Adds products, orders, lines, what buyers have, and changes of stock.
    pub async fn read(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let held_units = evidence.in_flight.held_units;
        evidence.in_flight = in_flight(&mut self.connection).await?;
        evidence.in_flight.held_units = held_units;
        self.read_products(evidence).await?;
        self.read_orders(evidence).await?;
        self.read_lines(evidence).await?;
        self.read_purchases(evidence).await?;
        self.read_log(evidence).await
    }

    async fn read_products(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows =
            sqlx::query("SELECT sku, stock FROM products ORDER BY sku").fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let place = evidence.stocks.place(row.try_get(0)?);
            evidence.stocks.at_mut(place).stock = Some(row.try_get(1)?);
        }
        Ok(())
    }

    async fn read_orders(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows = sqlx::query(
            "SELECT o.id, o.status, o.settled <> 0, CAST(o.total * 100 AS SIGNED), COALESCE(o.reason, ''), \
             CAST(UNIX_TIMESTAMP(o.created_at) * 1000 AS SIGNED), h.outcome, \
             CAST(UNIX_TIMESTAMP(h.decided_at) * 1000 AS SIGNED) \
             FROM orders o LEFT JOIN hold_outcomes h ON h.order_id = o.id ORDER BY o.id",
        )
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let mut order = Order::new(row.try_get(0)?, Status::of(row.try_get(1)?));
            order.settled = row.try_get(2)?;
            order.unexplained_minor = row.try_get(3)?;
            order.created_ms = row.try_get(5)?;
            order.outcome = row.try_get::<Option<&str>, _>(6)?.map(Outcome::of);
            order.decided_ms = row.try_get::<Option<i64>, _>(7)?.unwrap_or_default();
            evidence.orders.add(order, row.try_get(4)?);
        }
        drop(rows);
        let mut alone = sqlx::query(
            "SELECT h.order_id, h.outcome FROM hold_outcomes h \
             LEFT JOIN orders o ON o.id = h.order_id WHERE o.id IS NULL",
        )
        .fetch(&mut self.connection);
        while let Some(row) = alone.try_next().await? {
            let outcome = Outcome::of(row.try_get(1)?);
            evidence
                .orders
                .outcomes_alone
                .push((row.try_get(0)?, outcome));
        }
        Ok(())
    }

    async fn read_lines(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows = sqlx::query(
            "SELECT order_id, sku, quantity, CAST(price * 100 AS SIGNED) FROM order_lines ORDER BY order_id, sku",
        )
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let quantity: i64 = row.try_get(2)?;
            let price_minor: i64 = row.try_get(3)?;
            let line = Line {
                sku: evidence.stocks.place(row.try_get(1)?),
                quantity,
                ..Line::default()
            };
            evidence
                .orders
                .add_line(row.try_get(0)?, line, price_minor.saturating_mul(quantity));
        }
        Ok(())
    }

    async fn read_purchases(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows =
            sqlx::query("SELECT sku, user_id, quantity, buyer_limit FROM buyer_purchases")
                .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let buyer = (evidence.stocks.place(row.try_get(0)?), row.try_get(1)?);
            let purchase = evidence.purchases.entry(buyer).or_default();
            purchase.counted = Some(row.try_get(2)?);
            purchase.limit = row.try_get(3)?;
        }
        drop(rows);
        // What is parked without a reason could not be read, and may be sold or be sold yet.
        let mut rows = sqlx::query(
            "SELECT l.sku, o.user_id, CAST(SUM(l.quantity) AS SIGNED) \
             FROM order_lines l JOIN orders o ON o.id = l.order_id \
             WHERE l.is_counted = 1 AND (o.status IN ('PENDING', 'PAID', 'CONFIRMED') \
               OR o.status = 'PARKED' AND o.reason IS NULL) GROUP BY l.sku, o.user_id",
        )
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let buyer = (evidence.stocks.place(row.try_get(0)?), row.try_get(1)?);
            evidence.purchases.entry(buyer).or_default().ordered = row.try_get(2)?;
        }
        Ok(())
    }

    async fn read_log(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows = sqlx::query(
            "SELECT id, sku, delta, stock_after, reason, order_id, adjustment_id, acknowledged_at IS NOT NULL, \
             CAST(UNIX_TIMESTAMP(created_at) * 1000 AS SIGNED) FROM inventory_logs ORDER BY id",
        )
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            add_log(&row, evidence)?;
        }
        Ok(())
    }

    /// Adds the events that wait in the outbox; those of Kafka must be there.
    pub async fn read_outbox(&mut self, evidence: &mut Evidence) -> Result<(), Error> {
        let mut rows = sqlx::query(
            "SELECT id, event_id, event_type, message_key, body FROM outbox ORDER BY id",
        )
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let (id, event_id): (i64, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let added = evidence.add_event(Message {
                key: row.try_get(3)?,
                event_type: row.try_get(2)?,
                event_id: event_id
                    .as_hyphenated()
                    .encode_lower(&mut Uuid::encode_buffer()),
                body: row.try_get::<&str, _>(4)?.as_bytes(),
                place: Place::Waiting,
                partition: OUTBOX,
            });
            if let Err(problem) = added {
                evidence
                    .events
                    .unreadable
                    .push(format!("outbox row {id}: {problem}"));
            }
        }
        Ok(())
    }

    /// Ends it, and gives the connection back.
    pub async fn end(mut self) -> Result<MySqlConnection, Error> {
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.connection)
            .await?;
        Ok(self.connection)
    }
}

/// Begins a transaction that sees the database as of now.
pub async fn begin(connection: &mut MySqlConnection) -> Result<(), Error> {
    sqlx::raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        .execute(connection)
        .await?;
    Ok(())
}

fn add_log(row: &MySqlRow, evidence: &mut Evidence) -> Result<(), Error> {
    let sku = evidence.stocks.place(row.try_get(1)?);
    let change = LogRow {
        id: row.try_get(0)?,
        order: row.try_get(5)?,
        delta: row.try_get(2)?,
        stock_after: row.try_get(3)?,
        reason: row.try_get(4)?,
        adjustment_id: row.try_get(6)?,
        acknowledged: row.try_get(7)?,
        created_ms: row.try_get(8)?,
    };
    evidence.add_log(sku, &change);
    Ok(())
}
