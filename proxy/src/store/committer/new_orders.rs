//! The statements that write new orders, and those that look whether they are there already.

use std::collections::BTreeMap;

use sqlx::{MySql, MySqlConnection, QueryBuilder, Row, Transaction};
use uuid::Uuid;

use super::super::{Error, order_history, outbox};
use super::pieces::{ARMS, ROWS, pieces};
use super::record::Record;
use super::sift::Known;
use crate::events::Event;
use crate::orders::{Actor, Status};

/// Writes new orders with their keys, lines and first events. Lines of products with a limit count
/// for their buyers.
pub async fn insert(
    transaction: &mut Transaction<'_, MySql>,
    mut new: Vec<&Record>,
    limits: &BTreeMap<String, i64>,
) -> Result<(), Error> {
    // Events in order of arrival; rows in the order of their keys, as every proxy locks them.
    let events: Vec<&Event> = new.iter().flat_map(|record| &record.events).collect();
    let mut keyed: Vec<_> = new
        .iter()
        .filter_map(|record| Some((record.scoped_key()?, record.key.as_ref()?, record.order.id)))
        .collect();
    keyed.sort_unstable_by_key(|(scoped, _, _)| *scoped);
    for piece in pieces(keyed.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO idempotency_keys (scope, idempotency_key, request_hash, order_id, expires_at) ",
        );
        insert.push_values(&keyed[piece], |mut row, ((scope, _), key, order)| {
            row.push_bind(scope)
                .push_bind(&key.key)
                .push_bind(key.request_hash.as_slice())
                .push_bind(order)
                .push("NOW(3) + INTERVAL ")
                .push_bind_unseparated(key.expiry_ms)
                .push_unseparated(" * 1000 MICROSECOND");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    new.sort_unstable_by_key(|record| record.order.id);
    for piece in pieces(new.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO orders (id, user_id, status, total, currency, from_cart, created_at, saga_id, lease_until) ",
        );
        insert.push_values(&new[piece], |mut row, record| {
            let order = &record.order;
            row.push_bind(order.id)
                .push_bind(order.user_id)
                .push_bind(Status::Pending.as_str())
                .push_bind(order.total_minor)
                .push_unseparated(" / 100")
                .push_bind(&order.currency)
                .push_bind(order.from_cart)
                .push_bind(order.created_at)
                .push_bind(record.saga_id)
                .push("NOW(3) + INTERVAL ")
                .push_bind_unseparated(record.lease_ms)
                .push_unseparated(" * 1000 MICROSECOND");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    let ids: Vec<Uuid> = new.iter().map(|record| record.order.id).collect();
    for piece in pieces(ids.len(), ROWS) {
        order_history::append(transaction, &ids[piece], &Actor::Shopper.into()).await?;
    }
    let lines: Vec<_> = new
        .iter()
        .flat_map(|record| {
            record
                .order
                .lines
                .iter()
                .map(|line| (record.order.id, line))
        })
        .collect();
    for piece in pieces(lines.len(), ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO order_lines (order_id, sku, quantity, is_counted, price) ",
        );
        insert.push_values(&lines[piece], |mut row, (order, line)| {
            row.push_bind(order)
                .push_bind(line.sku.as_str())
                .push_bind(line.quantity)
                .push_bind(limits.contains_key(line.sku.as_str()))
                .push_bind(line.price_minor)
                .push_unseparated(" / 100");
        });
        insert.build().execute(&mut **transaction).await?;
    }
    for piece in pieces(events.len(), ROWS) {
        outbox::append(transaction, &events[piece]).await?;
    }
    Ok(())
}

/// What the tables have of these orders already.
pub async fn known_of(connection: &mut MySqlConnection, batch: &[&Record]) -> Result<Known, Error> {
    let mut known = Known::default();
    for piece in pieces(batch.len(), ROWS) {
        let mut select = QueryBuilder::new("SELECT id, saga_id FROM orders WHERE id IN (");
        let mut ids = select.separated(", ");
        for record in &batch[piece] {
            ids.push_bind(record.order.id);
        }
        let select = select.push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            known.add_order(row.try_get("id")?, row.try_get("saga_id")?);
        }
    }
    let keys: Vec<_> = batch
        .iter()
        .filter_map(|record| record.scoped_key())
        .collect();
    for piece in pieces(keys.len(), ARMS) {
        // Not a list of pairs, for which MariaDB would read the whole table.
        let mut select = QueryBuilder::new(
            "SELECT scope, idempotency_key FROM idempotency_keys WHERE (scope = ",
        );
        for (at, (scope, key)) in keys[piece].iter().enumerate() {
            if at > 0 {
                select.push(") OR (scope = ");
            }
            select.push_bind(scope);
            select.push(" AND idempotency_key = ").push_bind(*key);
        }
        let select = select.push(")");
        for row in select.build().fetch_all(&mut *connection).await? {
            let key: String = row.try_get("idempotency_key")?;
            known.add_key(row.try_get("scope")?, &key);
        }
    }
    Ok(known)
}
