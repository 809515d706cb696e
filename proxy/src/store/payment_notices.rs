//! Table `orders`: what the payment provider's webhooks change in it.

use uuid::Uuid;

use super::orders::retrying;
use super::{Error, Store};
use crate::orders::Status;

/// What is to be done about a notice of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// No such order was recorded.
    UnknownOrder,
    /// It says nothing that the order's row does not say.
    NothingToDo,
    /// Recovery is to ask the provider what is true, as soon as nobody runs the order's saga.
    ToBeLookedAt,
}

impl Store {
    /// Writes down that the provider told of an order's payment; `captured` is the payment's name
    /// if it says that the money was taken. An order that is not decided yet is PAID if the money was
    /// taken, and one that was called off is taken up again to give it back. Repeated, it changes
    /// nothing more. An order that was to be left alone for longer than `lease_ms`, which is the
    /// longest that a running saga's lease can last, is looked at by then.
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
        let status: Option<String> = sqlx::query_scalar("SELECT status FROM orders WHERE id = ?")
            .bind(order)
            .fetch_optional(&self.pool)
            .await?;
        let Some(status) = status else {
            return Ok(Noted::UnknownOrder);
        };
        let status = Status::from_word(&status);
        let is_undecided = matches!(status, Some(Status::Pending | Status::Paid));
        if is_undecided && self.note_undecided(order, captured, lease_ms).await? {
            return Ok(Noted::ToBeLookedAt);
        }
        // It was called off before, or since it was read.
        let is_called_off = matches!(status, Some(Status::Cancelled | Status::Expired));
        let may_be_called_off = is_undecided || is_called_off;
        if may_be_called_off && captured.is_some() && self.reopen(order, lease_ms).await? {
            return Ok(Noted::ToBeLookedAt);
        }
        Ok(Noted::NothingToDo)
    }

    /// False when the order is decided.
    async fn note_undecided(
        &self,
        order: Uuid,
        captured: Option<&str>,
        lease_ms: u64,
    ) -> Result<bool, Error> {
        // MySQL assigns from left to right, so the version is counted before the status changes.
        let noted = sqlx::query(
            "UPDATE orders SET \
               version = version + IF(? IS NOT NULL AND status = 'PENDING', 1, 0), \
               status = IF(? IS NULL, status, 'PAID'), \
               payment_id = COALESCE(?, payment_id), \
               attempts = 0, \
               lease_until = LEAST(lease_until, NOW(3) + INTERVAL ? * 1000 MICROSECOND) \
             WHERE id = ? AND status IN ('PENDING', 'PAID')",
        )
        .bind(captured)
        .bind(captured)
        .bind(captured)
        .bind(lease_ms)
        .bind(order)
        .execute(&self.pool)
        .await?;
        Ok(noted.rows_affected() > 0)
    }

    /// False when the order was not called off.
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
        .execute(&self.pool)
        .await?;
        Ok(reopened.rows_affected() > 0)
    }
}
