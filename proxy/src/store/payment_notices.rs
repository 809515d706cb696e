//! Table `orders`: what the payment provider's webhooks change in it.

use sqlx::Row;
use uuid::Uuid;

use super::orders::retrying;
use super::{Error, Store, order_history};
use crate::orders::{Actor, Status};

/// What came of a notice of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// No such order was recorded.
    UnknownOrder,
    /// Whoever runs the order's saga learns it, or there is nothing to learn.
    Noted,
    /// Nobody runs the order's saga: recovery is to take it up now.
    Due,
}

/// How an order stands when a notice of it comes.
struct Standing {
    status: Option<Status>,
    /// Nothing was left to do for it.
    is_settled: bool,
    /// Something is left to do, and its lease has run out.
    is_due: bool,
    /// It was to be left alone for longer than a running saga's lease can last.
    is_left_alone: bool,
}

impl Store {
    /// Writes down that the provider told of an order's payment; `captured` is the payment's name
    /// if it says that the money was taken. Then an order that is not decided is PAID, and one that
    /// was called off is taken up again to give the money back. An order that was to be left alone
    /// is looked at within `lease_ms`, which is how long a running saga's lease lasts at most.
    ///
    /// Of an order that is being bought most notices come while its saga runs: what they change
    /// nothing of is not locked, so that nobody waits for them.
    pub async fn note_payment(
        &self,
        order: Uuid,
        captured: Option<&str>,
        lease_ms: u64,
    ) -> Result<Noted, Error> {
        retrying(|| self.try_note_payment(order, captured, lease_ms)).await
    }

    async fn try_note_payment(
        &self,
        order: Uuid,
        captured: Option<&str>,
        lease_ms: u64,
    ) -> Result<Noted, Error> {
        let Some(standing) = self.standing(order, lease_ms).await? else {
            return Ok(Noted::UnknownOrder);
        };
        let is_called_off = match (standing.status, captured) {
            (Some(Status::Pending), Some(_)) => {
                // Not PENDING any more: called off, perhaps, since it was read.
                !self.note_undecided(order, captured, lease_ms).await?
            }
            (Some(Status::Pending | Status::Paid), _) => {
                if standing.is_left_alone {
                    self.note_undecided(order, captured, lease_ms).await?;
                }
                false
            }
            (Some(Status::Cancelled | Status::Expired), Some(_)) => true,
            _ => return Ok(Noted::Noted),
        };
        let is_reopened = is_called_off && self.reopen(order, lease_ms).await?;
        let is_due = standing.is_due || is_reopened && standing.is_settled;
        Ok(if is_due { Noted::Due } else { Noted::Noted })
    }

    async fn standing(&self, order: Uuid, lease_ms: u64) -> Result<Option<Standing>, Error> {
        let row = sqlx::query(
            "SELECT status, settled = 1 AS is_settled, settled = 0 AND lease_until <= NOW(3) AS is_due, \
             lease_until > NOW(3) + INTERVAL ? * 1000 MICROSECOND AS is_left_alone \
             FROM orders WHERE id = ?",
        )
        .bind(lease_ms)
        .bind(order)
        .fetch_optional(&self.primary.pool().await?)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let status: String = row.try_get("status")?;
        Ok(Some(Standing {
            status: Status::from_word(&status),
            is_settled: row.try_get("is_settled")?,
            is_due: row.try_get("is_due")?,
            is_left_alone: row.try_get("is_left_alone")?,
        }))
    }

    /// False when the order is decided.
    async fn note_undecided(
        &self,
        order: Uuid,
        captured: Option<&str>,
        lease_ms: u64,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let status: Option<String> = sqlx::query_scalar(
            "SELECT status FROM orders WHERE id = ? AND status IN ('PENDING', 'PAID') FOR UPDATE",
        )
        .bind(order)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(status) = status.as_deref().and_then(Status::from_word) else {
            return Ok(false);
        };
        let becomes_paid = status == Status::Pending && captured.is_some();
        let becomes = if becomes_paid { Status::Paid } else { status };
        sqlx::query(
            "UPDATE orders SET status = ?, version = version + ?, \
               payment_id = COALESCE(?, payment_id), \
               attempts = 0, \
               lease_until = LEAST(lease_until, NOW(3) + INTERVAL ? * 1000 MICROSECOND) \
             WHERE id = ?",
        )
        .bind(becomes.as_str())
        .bind(i64::from(becomes_paid))
        .bind(captured)
        .bind(lease_ms)
        .bind(order)
        .execute(&mut *transaction)
        .await?;
        if becomes_paid {
            order_history::append(&mut transaction, &[order], &Actor::Provider.into()).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes an order up again that was called off; false when it was not.
    async fn reopen(&self, order: Uuid, lease_ms: u64) -> Result<bool, Error> {
        let reopened = sqlx::query(
            "UPDATE orders SET \
               lease_until = IF(settled = 1, NOW(3), \
                 LEAST(lease_until, NOW(3) + INTERVAL ? * 1000 MICROSECOND)), \
               settled = 0, attempts = 0 \
             WHERE id = ? AND status IN ('CANCELLED', 'EXPIRED')",
        )
        .bind(lease_ms)
        .bind(order)
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(reopened.rows_affected() > 0)
    }
}
