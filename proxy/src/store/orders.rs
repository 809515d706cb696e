//! Tables `orders`, `order_lines` and `hold_outcomes`: what all transactions that move an order share.
//!
//! Each may be repeated: what is done already is found done. Rows are locked in one order (the
//! order, then its products by SKU), so that two proxies cannot deadlock; when InnoDB sees a
//! deadlock all the same, the transaction is tried again.

use serde_json::{Map, Value};
use sqlx::{MySql, Transaction};
use uuid::Uuid;

use super::{Error, Store, outbox};
use crate::events::Event;

/// How often a transaction that lost a lock conflict is tried in all.
const ATTEMPTS: u32 = 10;

impl Store {
    pub(super) async fn finish(
        &self,
        mut transaction: Transaction<'_, MySql>,
        events: &[Event],
    ) -> Result<(), Error> {
        outbox::append(&mut transaction, events).await?;
        transaction.commit().await?;
        self.outbox_written();
        Ok(())
    }
}

pub(super) const COMMITTED: &str = "COMMITTED";
pub(super) const ABORTED: &str = "ABORTED";

/// True when this transaction is the first to decide the order; the primary key sees to it that
/// there is only one.
pub(super) async fn decide(
    transaction: &mut Transaction<'_, MySql>,
    order: Uuid,
    outcome: &str,
) -> Result<bool, Error> {
    let inserted = sqlx::query("INSERT INTO hold_outcomes (order_id, outcome) VALUES (?, ?)")
        .bind(order)
        .bind(outcome)
        .execute(&mut **transaction)
        .await
        .map_err(Error::from);
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What was decided; the row exists, since inserting it found a duplicate.
pub(super) async fn outcome_of(
    transaction: &mut Transaction<'_, MySql>,
    order: Uuid,
) -> Result<String, Error> {
    // A locking read sees what is committed now, not what was when this transaction began.
    let outcome = sqlx::query_scalar(
        "SELECT outcome FROM hold_outcomes WHERE order_id = ? LOCK IN SHARE MODE",
    )
    .bind(order)
    .fetch_one(&mut **transaction)
    .await?;
    Ok(outcome)
}

pub(super) fn facts<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Tries again what lost a lock conflict: InnoDB has rolled it back, so nothing is done twice.
pub(super) async fn retrying<T, A>(attempt: impl Fn() -> A) -> Result<T, Error>
where
    A: Future<Output = Result<T, Error>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_lock_conflict() => {
                tracing::debug!(%error, "a transaction is tried again")
            }
            other => return other,
        }
    }
    attempt().await
}
