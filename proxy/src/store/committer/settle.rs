//! Writing down that Redis has acknowledged the end of an order's holds.

use sqlx::{Connection, MySqlConnection, QueryBuilder};
use uuid::Uuid;

use super::super::{Error, Store};
use super::pieces::{ROWS, pieces};
use super::queue::Work;

impl Store {
    /// Writes down that Redis has acknowledged the end of the order's holds.
    pub async fn settle_order(&self, id: Uuid) -> Result<(), Error> {
        self.committers.settle.write(id).await
    }
}

/// Settles orders.
pub struct Settling;

impl Work for Settling {
    type Request = Uuid;
    type Answer = ();

    fn weight(_: &Uuid) -> usize {
        1
    }

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Uuid],
        _look: bool,
    ) -> Result<Vec<()>, Error> {
        let mut sorted = batch.to_vec();
        sorted.sort_unstable();
        let mut transaction = connection.begin().await?;
        for piece in pieces(sorted.len(), ROWS) {
            let mut update = QueryBuilder::new("UPDATE orders SET settled = 1 WHERE id IN (");
            let mut ids = update.separated(", ");
            for id in &sorted[piece] {
                ids.push_bind(**id);
            }
            update.push(")").build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(vec![(); batch.len()])
    }
}
