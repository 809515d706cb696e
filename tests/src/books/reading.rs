//! Reads the books from the servers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

use super::{Books, Ledger, OrderRow};
use crate::saga_events::SagaEvent;
use crate::stack::Stack;

impl Books {
    /// Reads them. The events are those of `events`, so that one reader serves many SKUs.
    pub async fn read(stack: &Stack, sku: &str, events: &[SagaEvent]) -> Result<Books> {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?")
            .bind(sku)
            .fetch_one(&mut mysql)
            .await?;
        let rows = sqlx::query(
            "SELECT id, status, reason, quantity, outcome, \
               (SELECT GROUP_CONCAT(CONCAT(version, ' ', status) ORDER BY version) \
                FROM order_history h WHERE h.order_id = id) AS history \
             FROM orders JOIN order_lines l ON l.order_id = id \
             LEFT JOIN hold_outcomes h ON h.order_id = id WHERE sku = ?",
        )
        .bind(sku)
        .fetch_all(&mut mysql)
        .await?;
        let mut orders = BTreeMap::new();
        for row in rows {
            let id = Uuid::from_slice(row.try_get("id")?)?.to_string();
            let outcome: Option<String> = row.try_get("outcome")?;
            let history: Option<String> = row.try_get("history")?;
            let history = history.unwrap_or_default();
            let row = OrderRow {
                status: row.try_get("status")?,
                reason: row.try_get("reason")?,
                was_sold: outcome.as_deref() == Some("COMMITTED"),
                units: row.try_get("quantity")?,
                history: history.split_terminator(',').map(str::to_owned).collect(),
            };
            orders.insert(id, row);
        }
        let events = of_sku(events, sku);
        let mut payments = stack.payment.all().await?;
        payments.retain(|id, _| orders.contains_key(id) || events.contains_key(id));
        Ok(Books {
            stock,
            orders,
            payments,
            ledger: ledger(stack, sku)?,
            events,
        })
    }
}

/// The ledger of a SKU, by INV.GET.
pub fn ledger(stack: &Stack, sku: &str) -> Result<Ledger> {
    let fields: Option<BTreeMap<String, i64>> = redis::cmd("INV.GET")
        .arg(format!("inv:{{{sku}}}"))
        .query(&mut stack.redis.connection()?)?;
    let fields = fields.with_context(|| format!("Redis has no stock of {sku}"))?;
    let field = |name: &str| {
        fields
            .get(name)
            .copied()
            .with_context(|| format!("INV.GET has no {name}"))
    };
    Ok(Ledger {
        on_hand: field("on_hand")?,
        held: field("held")?,
        sold: field("sold")?,
    })
}

/// The events of orders with a line of this SKU, by order.
fn of_sku(events: &[SagaEvent], sku: &str) -> BTreeMap<String, Vec<SagaEvent>> {
    let mut orders: BTreeMap<String, Vec<SagaEvent>> = BTreeMap::new();
    for event in events {
        let lines = event.body["lines"].as_array();
        if lines.is_some_and(|lines| lines.iter().any(|line| line["sku"] == sku)) {
            orders
                .entry(event.key.clone())
                .or_default()
                .push(event.clone());
        }
    }
    orders
}
