//! The commit point: many orders are decided, confirmed and taken from the stock at once.

use std::sync::Arc;

use sqlx::{Connection, MySqlConnection};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::admission::admit;
use super::super::{Error, Store};
use super::queue::Work;
use super::sale;
use super::sift::firsts;
use crate::catalogue::Sku;
use crate::orders::{Order, OrderLine};

/// What became of confirming an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is CONFIRMED and its stock deducted.
    Committed,
    /// It was aborted before.
    AbortedBefore,
    /// There is less stock of this than the order needs.
    StockRefused(Sku),
}

impl Store {
    /// The commit point: COMMITTED, CONFIRMED, stock deducted, events written, or nothing.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: nothing was written. Any other: it may or may not have been. The same
    /// may be tried again in any case.
    pub async fn commit_order(&self, order: &Order, payment_id: &str) -> Result<Committed, Error> {
        let commit = Commit {
            order: order.clone(),
            payment_id: payment_id.to_owned(),
        };
        self.committers.commit.write(commit).await
    }
}

/// A paid order.
pub struct Commit {
    pub(super) order: Order,
    pub(super) payment_id: String,
}

/// Confirms orders.
pub struct Committing {
    outbox_wake: Arc<Notify>,
}

impl Committing {
    pub fn new(outbox_wake: Arc<Notify>) -> Self {
        Self { outbox_wake }
    }
}

impl Work for Committing {
    type Request = Commit;
    type Answer = Committed;

    fn weight(commit: &Commit) -> usize {
        commit.order.lines.len()
    }

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Commit],
        look: bool,
    ) -> Result<Vec<Committed>, Error> {
        let ids: Vec<Uuid> = batch.iter().map(|commit| commit.order.id).collect();
        let firsts = firsts(ids.iter().copied());
        let mut answers: Vec<Option<Committed>> = vec![None; batch.len()];
        if look {
            let decided = sale::decided(connection, &ids).await?;
            for (id, answer) in std::iter::zip(&ids, &mut answers) {
                *answer = decided.get(id).cloned();
            }
        }
        loop {
            let open: Vec<usize> = (0..batch.len())
                .filter(|&at| firsts[at] == at && answers[at].is_none())
                .collect();
            let commits: Vec<&Commit> = open.iter().map(|&at| batch[at]).collect();
            let refused = self.commit_all(connection, &commits).await?;
            if refused.is_empty() {
                break;
            }
            // Nothing was written; the others are tried without those, who so leave no trace.
            for (at, sku) in refused {
                answers[open[at]] = Some(Committed::StockRefused(sku));
            }
        }
        let answer = |&first: &usize| answers[first].clone().unwrap_or(Committed::Committed);
        Ok(firsts.iter().map(answer).collect())
    }
}

impl Committing {
    /// Commits all, or nothing when the stock does not suffice for all: then it says for whom it
    /// does not.
    async fn commit_all(
        &self,
        connection: &mut MySqlConnection,
        commits: &[&Commit],
    ) -> Result<Vec<(usize, Sku)>, Error> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = connection.begin().await?;
        // Every transaction locks orders by id, then products by SKU: so no two can deadlock.
        let mut sorted = commits.to_vec();
        sorted.sort_unstable_by_key(|commit| commit.order.id);
        sale::insert_outcomes(&mut transaction, &sorted).await?;
        sale::confirm_orders(&mut transaction, &sorted).await?;
        let orders: Vec<&[OrderLine]> = commits
            .iter()
            .map(|commit| commit.order.lines.as_slice())
            .collect();
        let stock = sale::lock_stock(&mut transaction, &orders).await?;
        let admission = admit(&stock, &orders);
        let refused: Vec<_> = admission
            .orders
            .iter()
            .enumerate()
            .filter_map(|(at, verdict)| Some((at, (*verdict.as_ref().err()?).clone())))
            .collect();
        if !refused.is_empty() {
            transaction.rollback().await?;
            return Ok(refused);
        }
        sale::deduct(&mut transaction, &admission).await?;
        sale::write_down(&mut transaction, commits, &admission).await?;
        transaction.commit().await?;
        self.outbox_wake.notify_one();
        Ok(Vec::new())
    }
}
