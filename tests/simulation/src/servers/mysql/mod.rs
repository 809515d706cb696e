//! MySQL: the tables, and each transaction as the SQL of the store means it.
//!
//! A transaction is done at once and whole, or not at all. One whose connection broke at COMMIT
//! is in limbo: nobody knows, and whoever needs a row that it has locked waits.

mod events;
mod orders;
mod rows;
mod transaction;

use std::hash::{Hash, Hasher};

use crate::alike::hash_in_any_order;
pub use events::{Change, Event, EventType, Key, SOLD, Waiting};
pub use rows::{LogRow, OrderRow, Outcome, Status};
pub use transaction::{Reply, Transaction};

use crate::controls::Control;
use crate::order::{OrderNo, SkuNo};
use crate::servers::group_commit;

/// The tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MySql {
    /// `products.stock`.
    pub stock: Vec<i64>,
    /// `orders`, by number.
    pub orders: Vec<Option<OrderRow>>,
    /// `hold_outcomes`, by the order's number.
    pub outcomes: Vec<Option<Outcome>>,
    /// `idempotency_keys`.
    pub keys: Vec<(u32, OrderNo)>,
    /// `inventory_logs`, without the sales.
    pub logs: Vec<LogRow>,
    /// `outbox`.
    pub outbox: Vec<Waiting>,
    /// Transactions whose COMMIT nobody saw answered.
    pub limbo: Vec<Transaction>,
    /// Everything that happened to each order, for the checks alone.
    pub history: Vec<Vec<Change>>,
    next_event: u64,
}

impl MySql {
    /// Products with so much stock each.
    pub fn new(stock: &[u64]) -> Self {
        Self {
            stock: stock.iter().map(|units| *units as i64).collect(),
            ..Self::default()
        }
    }

    /// The row of an order.
    pub fn order(&self, order: OrderNo) -> Option<&OrderRow> {
        self.orders.get(order)?.as_ref()
    }

    /// What was decided of an order.
    pub fn outcome(&self, order: OrderNo) -> Option<Outcome> {
        self.outcomes.get(order).copied().flatten()
    }

    /// The order that a key belongs to.
    pub fn order_with(&self, key: u32) -> Option<OrderNo> {
        let row = self.keys.iter().find(|(known, _)| *known == key);
        row.map(|(_, order)| *order)
    }

    /// Does the transaction, whole.
    pub fn execute(&mut self, transaction: &Transaction, control: Option<Control>) -> Reply {
        match transaction {
            Transaction::Batch(batch) => {
                self.execute_all(batch, control);
                Reply::Done
            }
            Transaction::Record { .. } => self.record(transaction),
            Transaction::Commit(order, lines) => self.commit(*order, lines, control),
            Transaction::Abort(order, reason) => self.abort(*order, *reason, control),
            Transaction::Cancel(order, lease_until_ms) => self.cancel(*order, *lease_until_ms),
            Transaction::AcknowledgeReturn(order) => {
                for row in &mut self.logs {
                    row.acknowledged |= row.returned == Some(*order);
                }
                Reply::Done
            }
            Transaction::RecordRefund(order) => self.record_refund(*order),
            Transaction::Park(order) => {
                self.update(*order, |row| {
                    if !row.settled && row.status != Status::Refunded {
                        row.status = Status::Parked;
                    }
                });
                Reply::Done
            }
            Transaction::Settle(order, end) => self.settle(*order, *end, control),
            Transaction::Webhook(order, now_ms) => {
                self.update(*order, |row| orders::note_payment(row, *now_ms));
                Reply::Done
            }
            Transaction::RetryParked(order, now_ms) => self.retry_parked(*order, *now_ms),
            Transaction::Adjust(sku, delta) => self.adjust(*sku, *delta),
            Transaction::Acknowledge(log) => {
                self.logs[*log].acknowledged = true;
                Reply::Done
            }
            Transaction::Undo(log) => self.undo(*log),
            Transaction::DecideOrphan(order) => {
                if self.outcome(*order).is_none() {
                    *grown(&mut self.outcomes, *order) = Some(Outcome::Aborted);
                }
                Reply::Done
            }
            Transaction::Tell(order, kinds) => {
                self.tell(Key::Order(*order), kinds);
                Reply::Done
            }
        }
    }

    /// Does a batch, as the product's own decisions sift and admit it, and answers one each.
    pub fn execute_all(&mut self, batch: &[Transaction], control: Option<Control>) -> Vec<Reply> {
        let verdicts = self.verdicts(batch, control);
        let decided = batch.iter().zip(verdicts);
        decided
            .map(|(transaction, verdict)| match verdict {
                Some(reply) => reply,
                None => self.execute(transaction, control),
            })
            .collect()
    }

    /// What is answered without being written; `None` for what is to be written.
    fn verdicts(&self, batch: &[Transaction], control: Option<Control>) -> Vec<Option<Reply>> {
        match batch.first() {
            Some(Transaction::Record { .. }) => group_commit::sift(self, batch),
            // The guard that is missing is all that this is.
            Some(Transaction::Commit(..)) if control != Some(Control::NoStockGuard) => {
                group_commit::admit(self, batch)
            }
            _ => vec![None; batch.len()],
        }
    }

    fn adjust(&mut self, sku: SkuNo, delta: i64) -> Reply {
        if self.stock[sku] + delta < 0 {
            return Reply::StockRefused;
        }
        self.stock[sku] += delta;
        self.logs.push(LogRow {
            sku,
            delta,
            returned: None,
            acknowledged: false,
        });
        self.tell(Key::Sku(sku), &[EventType::StockAdjusted]);
        Reply::Done
    }

    fn undo(&mut self, log: usize) -> Reply {
        let row = self.logs[log];
        if row.acknowledged {
            return Reply::Done;
        }
        self.stock[row.sku] -= row.delta;
        self.logs[log].delta = 0;
        self.logs[log].acknowledged = true;
        self.tell(Key::Sku(row.sku), &[EventType::StockAdjusted]);
        Reply::Done
    }

    fn update(&mut self, order: OrderNo, change: impl FnOnce(&mut OrderRow)) {
        if let Some(Some(row)) = self.orders.get_mut(order) {
            change(row);
        }
    }

    fn note(&mut self, order: OrderNo, change: Change) {
        grown(&mut self.history, order).push(change);
    }

    fn tell(&mut self, key: Key, kinds: &[EventType]) {
        for &kind in kinds {
            let id = self.next_event;
            self.next_event += 1;
            self.outbox.push(Waiting {
                event: Event { id, key, kind },
                parked: false,
            });
        }
    }
}

fn grown<T: Default>(rows: &mut Vec<T>, at: usize) -> &mut T {
    if rows.len() <= at {
        rows.resize_with(at + 1, T::default);
    }
    &mut rows[at]
}

/// Without the ids of events, which only say in which order unrelated orders went on.
impl Hash for MySql {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.stock, &self.orders, &self.outcomes, &self.keys).hash(state);
        (&self.logs, &self.history).hash(state);
        hash_in_any_order(&self.limbo, state);
        let mut waiting: Vec<_> = (self.outbox.iter())
            .map(|row| (row.event.key, row.event.id, row.event.kind, row.parked))
            .collect();
        waiting.sort_unstable_by_key(|(key, id, ..)| (*key, *id));
        for (key, _, kind, parked) in waiting {
            (key, kind, parked).hash(state);
        }
    }
}
