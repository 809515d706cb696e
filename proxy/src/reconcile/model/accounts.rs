//! What must be, with everything known.

use holdfast_stock::{Ending, Standing};
use uuid::Uuid;

use super::orders::{Logged, Stage};
use super::{UNITS, World};
use crate::reconcile::decision::{KnownOrder, Outcome};

impl World {
    /// What is not as it must be at rest.
    pub fn faults(&self) -> Vec<String> {
        let sold: i64 = self
            .orders
            .iter()
            .filter(|(id, order)| order.is_sold() && self.return_of(id).is_none())
            .map(|(_, order)| order.quantity)
            .sum();
        let adjusted: i64 = self
            .changes
            .iter()
            .filter(|change| change.order.is_none())
            .map(|change| change.delta)
            .sum();
        let ledger = self
            .redis
            .ledger
            .as_ref()
            .map(|ledger| ledger.summary(self.now_ms));
        let shown = ledger.map(|summary| (summary.on_hand as i64, summary.held as i64));
        let mut faults = Vec::new();
        if self.stock != UNITS + adjusted - sold || self.stock < 0 {
            faults.push(format!(
                "mysql has {} of {UNITS}, {adjusted} more, {sold} sold",
                self.stock
            ));
        }
        if shown != Some((self.stock, 0)) {
            faults.push(format!("redis shows {shown:?}, mysql {}", self.stock));
        }
        if self.orders.values().any(|order| order.stage != Stage::Over) {
            faults.push("an order is unfinished".into());
        }
        faults
    }

    /// What Redis must show now, with everything known.
    pub(super) fn expected(&self) -> i64 {
        let missing =
            |change: &&Logged| !change.is_acknowledged && !self.redis.applied.contains(&change.id);
        let missing: i64 = self
            .changes
            .iter()
            .filter(missing)
            .map(|change| change.delta)
            .sum();
        let truth = self.truth(None);
        let told = |order: &Uuid, known: &KnownOrder| {
            let sold = known.outcome == Some(Outcome::Committed) && !known.is_returned;
            match self.standing(*order) {
                _ if !sold => 0,
                Some(Standing::Live(hold)) => hold.quantity as i64,
                Some(Standing::Finished(end)) if end.ending != Ending::Expired => 0,
                _ if known.is_settled || !known.may_be_taken_again => 0,
                _ => known.quantity,
            }
        };
        let told: i64 = truth.orders.iter().map(|(id, order)| told(id, order)).sum();
        self.stock - missing + told
    }
}
