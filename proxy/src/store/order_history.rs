//! Table `order_history`: each change of an order's status, written in the transaction that makes
//! it and never again.

use sqlx::{MySql, QueryBuilder, Row, Transaction};
use uuid::Uuid;

use super::order_rows::unreadable;
use super::{Error, Freshness, Store};
use crate::orders::{Actor, Author, Status, Step};

impl Store {
    /// What became of an order, step by step; empty for none. While the primary is away a replica shows what it has.
    pub async fn order_history(&self, order: Uuid) -> Result<Vec<Step>, Error> {
        let read = async |pool| {
            let steps = sqlx::query(
                "SELECT version, status, reason, actor, actor_id, note, at FROM order_history \
                 WHERE order_id = ? ORDER BY version",
            );
            Ok::<_, Error>(steps.bind(order).fetch_all(&pool).await?)
        };
        let rows = self.read(Freshness::NewestThereIs, read).await?;
        let steps = rows.iter().map(|row| {
            let (status, actor): (String, String) = (row.try_get("status")?, row.try_get("actor")?);
            Ok(Step {
                version: row.try_get("version")?,
                status: Status::from_word(&status).ok_or_else(|| unreadable(&status))?,
                reason: row.try_get("reason")?,
                by: Actor::from_word(&actor).ok_or_else(|| unreadable(&actor))?,
                user_id: row.try_get("actor_id")?,
                note: row.try_get("note")?,
                at: row.try_get("at")?,
            })
        });
        Ok(steps.collect::<Result<_, sqlx::Error>>()?)
    }
}

/// Writes down how these orders stand now, which this transaction has just changed.
pub(super) async fn append(
    transaction: &mut Transaction<'_, MySql>,
    orders: &[Uuid],
    author: &Author,
) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let mut insert = QueryBuilder::new(
        "INSERT INTO order_history (order_id, version, status, reason, actor, actor_id, note) \
         SELECT id, version, status, reason, ",
    );
    insert.push_bind(author.actor.as_str());
    insert.push(", ").push_bind(author.user_id);
    insert.push(", ").push_bind(author.note.as_deref());
    insert.push(" FROM orders WHERE id IN (");
    let mut ids = insert.separated(", ");
    for order in orders {
        ids.push_bind(*order);
    }
    insert.push(")").build().execute(&mut **transaction).await?;
    Ok(())
}
