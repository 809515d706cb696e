//! Table `orders`: what the payment provider's webhooks change in it.

use uuid::Uuid;

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
        let status: Option<String> = sqlx::query_scalar("SELECT status FROM orders WHERE id = ?")
            .bind(order)
            .fetch_optional(&self.pool)
            .await?;
        let Some(status) = status else {
            return Ok(Noted::UnknownOrder);
        };
        match (Status::from_word(&status), captured) {
            (Some(Status::Pending | Status::Paid), _) => {
                self.note_undecided(order, captured, lease_ms).await
            }
            (Some(Status::Cancelled | Status::Expired), Some(_)) => {
                self.reopen(order, lease_ms).await
            }
            _ => Ok(Noted::NothingToDo),
        }
    }

    async fn note_undecided(
        &self,
        order: Uuid,
        captured: Option<&str>,
        lease_ms: u64,
    ) -> Result<Noted, Error> {
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
        Ok(to_be_looked_at(noted.rows_affected()))
    }

    async fn reopen(&self, order: Uuid, lease_ms: u64) -> Result<Noted, Error> {
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
        Ok(to_be_looked_at(reopened.rows_affected()))
    }
}

/// No row: somebody has decided the order since it was read.
fn to_be_looked_at(rows: u64) -> Noted {
    match rows {
        0 => Noted::NothingToDo,
        _ => Noted::ToBeLookedAt,
    }
}
