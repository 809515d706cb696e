//! How Redis gets the units of a cancelled sale back.

use time::OffsetDateTime;

use super::machine::Input;
use super::run::Saga;
use super::runner::Runner;
use crate::gateway;
use crate::gateway::inventory::Word;
use crate::orders::{Order, OrderLine};
use crate::store::cancellation::return_id;

impl Runner {
    /// `INV.RETURN` on every line, and written down.
    pub(super) async fn take_back(&self, saga: &Saga) -> Input {
        if let Err(error) = self.return_lines(&saga.order).await {
            return saga.unclear_in_redis("return", &error);
        }
        let acknowledged = self.store.acknowledge_return(saga.order.id).await;
        saga.done_or_unclear("acknowledge the return", acknowledged)
    }

    async fn return_lines(&self, order: &Order) -> Result<(), gateway::Error> {
        let id = return_id(order.id);
        let returned = self
            .gateway
            .return_all(order.id, &order.holds(), &id)
            .await?;
        for (line, outcome) in order.lines.iter().zip(returned) {
            self.return_otherwise(order, line, &id, outcome.word)
                .await?;
        }
        Ok(())
    }

    /// Where Redis did not take a line back as a sale of its own: the count must be that of MySQL,
    /// in which the sale and its return have cancelled out.
    async fn return_otherwise(
        &self,
        order: &Order,
        line: &OrderLine,
        return_id: &str,
        word: Word,
    ) -> Result<(), gateway::Error> {
        match word {
            // It was sold here once, and is forgotten.
            Word::UnknownHold if !order.may_be_taken_again(OffsetDateTime::now_utc()) => {
                let delta = line.quantity;
                self.gateway
                    .adjust_stock(&line.sku, delta, return_id)
                    .await
                    .map(drop)
            }
            // It could not be sold here, so that the units were never taken off.
            Word::Reserved | Word::Prepared => {
                let hold = [(&line.sku, line.quantity)];
                self.gateway.release_all(order.id, &hold).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}
