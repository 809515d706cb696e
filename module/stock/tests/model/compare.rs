//! What can be seen of a ledger, compared with the model.

use holdfast_stock::{Ending, Hold, Id, Ledger, Standing, State};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::follow::{Follower, encoded};
use crate::shop::Fate;
use crate::steps::id;

impl Follower {
    /// Everything that can be seen of the ledger is as the model has it.
    pub fn compare(&self) -> Result<(), TestCaseError> {
        let (shop, now_ms) = (&self.shop, self.now_ms);
        let summary = self.primary.summary(now_ms);
        let held = shop.held(now_ms);
        prop_assert_eq!((summary.on_hand, summary.sold), (shop.on_hand, shop.sold));
        prop_assert_eq!(summary.held, held);
        prop_assert_eq!(summary.holds, shop.live_at(now_ms).count() as u64);
        prop_assert_eq!(summary.available, shop.on_hand.saturating_sub(held));
        prop_assert_eq!(summary.shortfall, held.saturating_sub(shop.on_hand));
        prop_assert_eq!(self.primary.available(now_ms), summary.available);
        prop_assert_eq!(self.primary.outcome_count(), shop.finished.len());
        prop_assert_eq!(self.primary.adjustment_count(), shop.booked.len());
        // Never oversell: what was sold and what is here is what came in, and no more is promised than is here.
        prop_assert_eq!(
            i128::from(summary.sold) + i128::from(summary.on_hand),
            shop.stocked
        );
        prop_assert!(summary.shortfall == 0 || self.may_be_short);

        for n in 0..self.ids {
            self.compare_id(&id(n))?;
        }
        let mut prepared: Vec<_> = shop
            .live
            .iter()
            .filter(|hold| hold.deadline_ms.is_none())
            .collect();
        prepared.sort_by_key(|hold| hold.since_ms);
        let pending = self
            .primary
            .pending()
            .map(|(since_ms, hold)| (since_ms, hold.id));
        prop_assert!(pending.eq(prepared.iter().map(|hold| (hold.since_ms, hold.id.clone()))));
        prop_assert_eq!(
            self.primary.oldest_prepared_ms(),
            prepared.first().map(|hold| hold.since_ms)
        );

        let units: u64 = prepared.iter().map(|hold| hold.quantity).sum();
        prop_assert_eq!(summary.prepared, units);
        let live = shop
            .live
            .iter()
            .map(|hold| (hold.id.clone(), hold.quantity));
        prop_assert!(
            walked(&self.primary)
                .into_iter()
                .map(|hold| (hold.id, hold.quantity))
                .eq(live)
        );

        prop_assert!(
            self.primary == self.replica,
            "a replica follows its primary"
        );
        prop_assert_eq!(encoded(&self.primary), encoded(&self.replica));
        Ok(())
    }

    fn compare_id(&self, id: &Id) -> Result<(), TestCaseError> {
        let standing = self.primary.standing(id, self.now_ms);
        match (self.shop.fate(id, self.now_ms), &standing) {
            (Fate::Unknown, Standing::Unknown) | (Fate::Expired, Standing::Due(_)) => {}
            (Fate::Expired, Standing::Finished(outcome)) => {
                prop_assert_eq!(outcome.ending, Ending::Expired);
            }
            (Fate::Live(live), Standing::Live(hold)) => {
                let expected = Hold {
                    id: live.id.clone(),
                    quantity: live.quantity,
                    state: match live.deadline_ms {
                        Some(deadline_ms) => State::Held { deadline_ms },
                        None => State::Prepared {
                            since_ms: live.since_ms,
                        },
                    },
                };
                prop_assert_eq!(hold, &expected);
            }
            (Fate::Finished(finished), Standing::Finished(outcome)) => {
                prop_assert_eq!(&outcome.id, &finished.id);
                prop_assert_eq!(
                    (outcome.ending, outcome.quantity),
                    (finished.ending, finished.quantity)
                );
                prop_assert_eq!(
                    (outcome.returned, outcome.at_ms),
                    (finished.returned, finished.at_ms)
                );
            }
            _ => return Err(TestCaseError::fail(format!("{id} is {standing:?}"))),
        }
        Ok(())
    }
}

/// All live holds, page by page.
pub fn walked(ledger: &Ledger) -> Vec<Hold> {
    let (mut holds, mut after) = (Vec::new(), 0);
    loop {
        let page = ledger.holds_page(None, after, 7);
        holds.extend(page.holds.into_iter().map(|(_, hold)| hold));
        after = page.next;
        if after == 0 {
            return holds;
        }
    }
}
