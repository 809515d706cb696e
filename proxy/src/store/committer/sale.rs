//! The statements of the commit point, in the order in which they lock: outcomes and orders by id,
//! then products by SKU.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::{MySql, MySqlConnection, QueryBuilder, Row, Transaction};
use uuid::Uuid;

use super::super::admission::Admission;
use super::super::orders::{ABORTED, COMMITTED, facts};
use super::super::{Error, order_history, outbox};
use super::commit::{Commit, Committed};
use super::pieces::{ARMS, ROWS, pieces};
use crate::catalogue::Sku;
use crate::events::{Event, EventType};
use crate::orders::{Actor, OrderLine, Status};

/// The primary key decides: whoever inserts first, for ever.
pub async fn insert_outcomes(
    transaction: &mut Transaction<'_, MySql>,
    commits: &[&Commit],
) -> Result<(), Error> {
    for piece in pieces(commits.len(), ROWS) {
        let mut insert = QueryBuilder::new("INSERT INTO hold_outcomes (order_id, outcome) ");
        insert.push_values(&commits[piece], |mut row, commit| {
            row.push_bind(commit.order.id).push_bind(COMMITTED);
        });
        insert.build().execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Fails, and so undoes all, unless every one of them may still be sold.
pub async fn confirm_orders(
    transaction: &mut Transaction<'_, MySql>,
    commits: &[&Commit],
) -> Result<(), Error> {
    for piece in pieces(commits.len(), ARMS) {
        let commits = &commits[piece];
        let mut update = QueryBuilder::new("UPDATE orders SET status = ");
        update.push_bind(Status::Confirmed.as_str());
        update.push(", version = version + 1, error = NULL, payment_id = CASE id");
        for commit in commits {
            update.push(" WHEN ").push_bind(commit.order.id);
            update.push(" THEN ").push_bind(&commit.payment_id);
        }
        update.push(" END WHERE id IN (");
        let mut ids = update.separated(", ");
        for commit in commits {
            ids.push_bind(commit.order.id);
        }
        // What is parked and has no outcome may still be sold.
        update.push(") AND status IN ('PENDING', 'PAID', 'PARKED')");
        let updated = update.build().execute(&mut **transaction).await?;
        if updated.rows_affected() != commits.len() as u64 {
            return Err(Error::NotToBeConfirmed);
        }
    }
    let ids: Vec<Uuid> = commits.iter().map(|commit| commit.order.id).collect();
    for piece in pieces(ids.len(), ROWS) {
        order_history::append(transaction, &ids[piece], &Actor::System.into()).await?;
    }
    Ok(())
}

/// Of what the orders ask for, how much there is; nobody else changes it until the transaction ends.
pub async fn lock_stock(
    transaction: &mut Transaction<'_, MySql>,
    orders: &[&[OrderLine]],
) -> Result<BTreeMap<String, i64>, Error> {
    let mut skus: Vec<&str> = orders
        .iter()
        .flat_map(|lines| lines.iter().map(|line| line.sku.as_str()))
        .collect();
    skus.sort_unstable();
    skus.dedup();
    let mut stock = BTreeMap::new();
    for piece in pieces(skus.len(), ROWS) {
        let mut select = QueryBuilder::new("SELECT sku, stock FROM products WHERE sku IN (");
        let mut listed = select.separated(", ");
        for sku in &skus[piece] {
            listed.push_bind(*sku);
        }
        let select = select.push(") ORDER BY sku FOR UPDATE");
        for row in select.build().fetch_all(&mut **transaction).await? {
            stock.insert(row.try_get("sku")?, row.try_get("stock")?);
        }
    }
    Ok(stock)
}

/// One guarded deduction a SKU. The admission has seen to it that the guard holds; it stays because
/// nothing must ever be sold that is not there.
pub async fn deduct(
    transaction: &mut Transaction<'_, MySql>,
    admission: &Admission<'_>,
) -> Result<(), Error> {
    let taken: Vec<_> = admission.taken.iter().collect();
    for piece in pieces(taken.len(), ARMS) {
        let taken = &taken[piece];
        let mut update = QueryBuilder::<MySql>::new("UPDATE products SET stock = stock - ");
        push_quantities(&mut update, taken);
        update.push(", version = version + 1 WHERE sku IN (");
        let mut skus = update.separated(", ");
        for (sku, _) in taken {
            skus.push_bind(sku.as_str());
        }
        update.push(") AND stock >= ");
        push_quantities(&mut update, taken);
        let deducted = update.build().execute(&mut **transaction).await?;
        if deducted.rows_affected() != taken.len() as u64 {
            return Err(Error::NotToBeConfirmed);
        }
    }
    Ok(())
}

fn push_quantities(update: &mut QueryBuilder<MySql>, taken: &[(&&Sku, &i64)]) {
    update.push("CASE sku");
    for (sku, quantity) in taken {
        update.push(" WHEN ").push_bind(sku.as_str().to_owned());
        update.push(" THEN ").push_bind(**quantity);
    }
    update.push(" END");
}

/// The log and the events, in order of arrival, as the balances in them fall.
pub async fn write_down(
    transaction: &mut Transaction<'_, MySql>,
    commits: &[&Commit],
    admission: &Admission<'_>,
) -> Result<(), Error> {
    let mut logged = Vec::new();
    let mut events = Vec::new();
    for (commit, balances) in std::iter::zip(commits, admission.orders.iter().flatten()) {
        let lines = std::iter::zip(&commit.order.lines, balances);
        logged.extend(
            lines
                .clone()
                .map(|(line, stock)| (commit.order.id, line, *stock)),
        );
        events.extend(sale(commit, lines.map(|(line, stock)| (&line.sku, *stock))));
    }
    for piece in pieces(logged.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, acknowledged_at) ",
        );
        insert.push_values(&logged[piece], |mut row, (order, line, stock)| {
            row.push_bind(line.sku.as_str())
                .push_bind(-line.quantity)
                .push_bind(stock)
                .push("'sold'")
                .push_bind(order)
                .push("NOW(3)");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    for piece in pieces(events.len(), ROWS) {
        outbox::append(transaction, &events[piece]).await?;
    }
    Ok(())
}

fn sale<'a>(commit: &Commit, balances: impl Iterator<Item = (&'a Sku, i64)>) -> [Event; 2] {
    let balances = balances.map(|(sku, stock)| json!({ "sku": sku, "stock": stock }));
    let paid = facts([("payment_id", json!(commit.payment_id))]);
    let sold = facts([("balances", balances.collect())]);
    [
        Event::of_order(EventType::PaymentProcessed, &commit.order, paid),
        Event::of_order(EventType::OrderConfirmed, &commit.order, sold),
    ]
}

/// What was decided of these orders before.
pub async fn decided(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Committed>, Error> {
    let mut decided = BTreeMap::new();
    for piece in pieces(ids.len(), ROWS) {
        let mut select =
            QueryBuilder::new("SELECT order_id, outcome FROM hold_outcomes WHERE order_id IN (");
        let mut listed = select.separated(", ");
        for id in &ids[piece] {
            listed.push_bind(id);
        }
        let select = select.push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            let outcome: String = row.try_get("outcome")?;
            let answer = if outcome == ABORTED {
                Committed::AbortedBefore
            } else {
                Committed::Committed
            };
            decided.insert(row.try_get("order_id")?, answer);
        }
    }
    Ok(decided)
}
