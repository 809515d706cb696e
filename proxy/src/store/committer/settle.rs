//! Writing down that nothing is left to do for an order.

use sqlx::{Connection, MySqlConnection, QueryBuilder};
use uuid::Uuid;

use super::super::{Error, Store};
use super::pieces::{ROWS, pieces};
use super::queue::Work;
use crate::orders::End;

impl Store {
    /// Writes down that nothing is left to do, if this is still how the order ended.
    pub async fn settle_order(&self, id: Uuid, end: End) -> Result<(), Error> {
        self.committers.settle.write((id, end)).await
    }
}

/// Settles orders.
pub struct Settling;

impl Work for Settling {
    type Request = (Uuid, End);
    type Answer = ();

    fn weight(_: &(Uuid, End)) -> usize {
        1
    }

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&(Uuid, End)],
        _look: bool,
    ) -> Result<Vec<()>, Error> {
        let mut transaction = connection.begin().await?;
        for end in [End::Sold, End::Undone, End::Returned] {
            let ended = batch.iter().filter(|(_, how)| *how == end);
            let mut sorted: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
            sorted.sort_unstable();
            for piece in pieces(sorted.len(), ROWS) {
                let mut update = QueryBuilder::new("UPDATE orders SET settled = 1 WHERE id IN (");
                let mut ids = update.separated(", ");
                for id in &sorted[piece] {
                    ids.push_bind(*id);
                }
                update.push(") AND status IN (");
                let mut statuses = update.separated(", ");
                for status in end.statuses() {
                    statuses.push_bind(status.as_str());
                }
                update.push(")").build().execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(vec![(); batch.len()])
    }
}
