//! What MySQL says was sold, and whether its tables agree. Reads rows, and knows nothing of the
//! code that wrote them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;
use sqlx::MySqlConnection;
use uuid::Uuid;

const BEGINNING: [&str; 3] = ["SagaStarted", "InventoryReserved", "OrderCreated"];
const SALE: [&str; 2] = ["PaymentProcessed", "OrderConfirmed"];

/// All rows of a small shop.
#[derive(Debug)]
pub struct Rows {
    stock: BTreeMap<String, i64>,
    orders: BTreeMap<Uuid, String>,
    lines: BTreeMap<(Uuid, String), i64>,
    outcomes: BTreeMap<Uuid, String>,
    logs: Vec<Log>,
    events: BTreeMap<String, Vec<(String, Value)>>,
}

#[derive(Debug, sqlx::FromRow)]
struct Log {
    sku: String,
    delta: i64,
    stock_after: i64,
    order_id: Uuid,
}

impl Rows {
    /// Reads them all.
    pub async fn read(connection: &mut MySqlConnection) -> Result<Rows> {
        let stock: Vec<(String, i64)> = sqlx::query_as("SELECT sku, stock FROM products")
            .fetch_all(&mut *connection)
            .await?;
        let orders: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, status FROM orders")
            .fetch_all(&mut *connection)
            .await?;
        let lines: Vec<(Uuid, String, i64)> =
            sqlx::query_as("SELECT order_id, sku, quantity FROM order_lines")
                .fetch_all(&mut *connection)
                .await?;
        let outcomes: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT order_id, outcome FROM hold_outcomes")
                .fetch_all(&mut *connection)
                .await?;
        let logs: Vec<Log> = sqlx::query_as(
            "SELECT sku, delta, stock_after, order_id FROM inventory_logs ORDER BY id",
        )
        .fetch_all(&mut *connection)
        .await?;
        let outbox: Vec<(String, String, String)> =
            sqlx::query_as("SELECT message_key, event_type, body FROM outbox ORDER BY id")
                .fetch_all(&mut *connection)
                .await?;
        let mut events: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
        for (key, event_type, body) in outbox {
            let event = (event_type, serde_json::from_str(&body)?);
            events.entry(key).or_default().push(event);
        }
        Ok(Rows {
            stock: stock.into_iter().collect(),
            orders: orders.into_iter().collect(),
            lines: lines
                .into_iter()
                .map(|(order, sku, quantity)| ((order, sku), quantity))
                .collect(),
            outcomes: outcomes.into_iter().collect(),
            logs,
            events,
        })
    }

    /// The stock of a product.
    pub fn stock(&self, sku: &str) -> i64 {
        self.stock[sku]
    }

    /// Orders that are sold.
    pub fn confirmed(&self) -> BTreeSet<Uuid> {
        self.with(|order| self.status(order) == Some("CONFIRMED"))
    }

    /// Orders that nobody has decided.
    pub fn undecided(&self) -> BTreeSet<Uuid> {
        self.with(|order| !self.outcomes.contains_key(order))
    }

    /// What does not agree, given the stock that there was at first.
    pub fn faults(&self, stocked: &[(&str, i64)]) -> Vec<String> {
        let mut faults = Vec::new();
        for order in self.orders.keys().chain(self.outcomes.keys()) {
            faults.extend(self.faults_of(order));
        }
        for (sku, stocked) in stocked {
            // Each log line goes on where the one before it ended, and the last ends at the stock.
            let mut left = *stocked;
            for log in self.logs.iter().filter(|log| log.sku == *sku) {
                left += log.delta;
                if log.stock_after != left {
                    faults.push(format!(
                        "{sku}: the log says {} for {left}",
                        log.stock_after
                    ));
                    left = log.stock_after;
                }
            }
            if left != self.stock[*sku] || left < 0 {
                faults.push(format!("{sku}: stock {} for {left}", self.stock[*sku]));
            }
        }
        faults
    }

    fn faults_of(&self, order: &Uuid) -> Vec<String> {
        let mut faults = Vec::new();
        let sold = self.status(order) == Some("CONFIRMED");
        let committed = self
            .outcomes
            .get(order)
            .is_some_and(|outcome| outcome == "COMMITTED");
        if sold != committed {
            faults.push(format!("{order}: sold {sold}, committed {committed}"));
        }
        let logged: BTreeMap<&str, i64> = self
            .logs_of(order)
            .map(|log| (log.sku.as_str(), -log.delta))
            .collect();
        let lines: BTreeMap<&str, i64> = self
            .lines
            .iter()
            .filter(|((of, _), _)| of == order)
            .map(|((_, sku), quantity)| (sku.as_str(), *quantity))
            .collect();
        let wanted = if sold { lines } else { BTreeMap::new() };
        if logged != wanted || self.logs_of(order).count() != wanted.len() {
            faults.push(format!("{order}: logged {logged:?} for {wanted:?}"));
        }
        let events = self.events.get(&order.to_string());
        let events: &[(String, Value)] = events.map_or(&[], Vec::as_slice);
        let types: Vec<&str> = events
            .iter()
            .map(|(event_type, _)| event_type.as_str())
            .collect();
        let mut expected = BEGINNING.to_vec();
        expected.extend(if sold { &SALE[..] } else { &[] });
        if types != expected {
            faults.push(format!("{order}: events {types:?}"));
        }
        if let (true, Some((_, body))) = (sold, events.last()) {
            let told = body["balances"].as_array().into_iter().flatten();
            let told: BTreeMap<&str, i64> = told
                .filter_map(|balance| Some((balance["sku"].as_str()?, balance["stock"].as_i64()?)))
                .collect();
            let after: BTreeMap<&str, i64> = self
                .logs_of(order)
                .map(|log| (log.sku.as_str(), log.stock_after))
                .collect();
            if told != after {
                faults.push(format!("{order}: told {told:?} for {after:?}"));
            }
        }
        faults
    }

    fn logs_of(&self, order: &Uuid) -> impl Iterator<Item = &Log> {
        self.logs.iter().filter(move |log| log.order_id == *order)
    }

    fn status(&self, order: &Uuid) -> Option<&str> {
        self.orders.get(order).map(String::as_str)
    }

    fn with(&self, holds: impl Fn(&Uuid) -> bool) -> BTreeSet<Uuid> {
        self.orders
            .keys()
            .filter(|order| holds(order))
            .copied()
            .collect()
    }
}
