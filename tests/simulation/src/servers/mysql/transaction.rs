//! The transactions, and which rows each of them locks.

use super::{EventType, MySql};
use crate::machine::{End, Reason};
use crate::order::{Lines, OrderNo, SkuNo};

/// One transaction, with what it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transaction {
    /// Insert the order as PENDING.
    Record {
        /// Which.
        order: OrderNo,
        /// By which saga.
        saga: u64,
        /// Its Idempotency-Key.
        key: Option<u32>,
        /// Its lines.
        lines: Lines,
        /// When it was placed.
        created_ms: u64,
        /// Until when the saga runs it.
        lease_until_ms: u64,
    },
    /// Several of [`Transaction::Record`], or several of [`Transaction::Commit`], as one.
    Batch(Vec<Transaction>),
    /// Decide COMMITTED, confirm and deduct.
    Commit(OrderNo, Lines),
    /// Decide ABORTED and cancel.
    Abort(OrderNo, Reason),
    /// Cancel what was sold and restock it.
    Cancel(OrderNo, u64),
    /// The units that came back are in Redis.
    AcknowledgeReturn(OrderNo),
    /// The money is back.
    RecordRefund(OrderNo),
    /// A person is needed.
    Park(OrderNo),
    /// Nothing is left to do.
    Settle(OrderNo, End),
    /// A verified webhook says that the money is taken.
    Webhook(OrderNo, u64),
    /// An operator has a parked order tried again.
    RetryParked(OrderNo, u64),
    /// An operator changes the stock.
    Adjust(SkuNo, i64),
    /// Redis has the change of this row.
    Acknowledge(usize),
    /// Redis may not have the change of this row, so it is undone.
    Undo(usize),
    /// The outcome of a hold that nobody runs, where there is none.
    DecideOrphan(OrderNo),
    /// An event alone, for the control that writes it outside of its transaction.
    Tell(OrderNo, &'static [EventType]),
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done, now or before.
    Done,
    /// The Idempotency-Key belongs to another order.
    KeyTaken,
    /// Another saga has recorded the order.
    OrderExists,
    /// The stock guard refused.
    StockRefused,
    /// It was decided otherwise before.
    LostRace,
    /// There is nothing to be cancelled.
    TooLate,
}

/// The rows that a transaction locks.
#[derive(Debug, Default)]
struct Locks {
    orders: Vec<OrderNo>,
    /// A bit a product.
    skus: u64,
    keys: Vec<u32>,
}

impl Locks {
    fn meet(&self, other: &Self) -> bool {
        self.skus & other.skus != 0
            || self.orders.iter().any(|order| other.orders.contains(order))
            || self.keys.iter().any(|key| other.keys.contains(key))
    }
}

impl MySql {
    /// Whether a transaction in limbo has locked what this one needs.
    pub fn is_blocked(&self, transaction: &Transaction) -> bool {
        if self.limbo.is_empty() {
            return false;
        }
        let needed = self.locks(transaction);
        let mut limbo = self.limbo.iter();
        limbo.any(|other| self.locks(other).meet(&needed))
    }

    /// Whether a transaction in limbo has locked the order's row.
    pub fn is_locked(&self, order: OrderNo) -> bool {
        let mut limbo = self.limbo.iter();
        limbo.any(|transaction| self.locks(transaction).orders.contains(&order))
    }

    fn locks(&self, transaction: &Transaction) -> Locks {
        let mut locks = Locks::default();
        self.add_locks(transaction, &mut locks);
        locks
    }

    fn add_locks(&self, transaction: &Transaction, locks: &mut Locks) {
        let of = |lines: &Lines| lines.iter().fold(0, |bits, line| bits | 1 << line.sku);
        match transaction {
            Transaction::Batch(batch) => {
                for transaction in batch {
                    self.add_locks(transaction, locks);
                }
            }
            Transaction::Record { order, key, .. } => {
                locks.orders.push(*order);
                locks.keys.extend(*key);
            }
            Transaction::Commit(order, lines) => {
                locks.orders.push(*order);
                locks.skus |= of(lines);
            }
            Transaction::Cancel(order, _) => {
                locks.orders.push(*order);
                locks.skus |= self.order(*order).map_or(0, |row| of(&row.lines));
            }
            Transaction::Abort(order, _)
            | Transaction::AcknowledgeReturn(order)
            | Transaction::RecordRefund(order)
            | Transaction::Park(order)
            | Transaction::Settle(order, _)
            | Transaction::Webhook(order, _)
            | Transaction::RetryParked(order, _)
            | Transaction::DecideOrphan(order)
            | Transaction::Tell(order, _) => locks.orders.push(*order),
            Transaction::Adjust(sku, _) => locks.skus |= 1 << sku,
            Transaction::Acknowledge(log) | Transaction::Undo(log) => {
                locks.skus |= self.logs.get(*log).map_or(0, |row| 1 << row.sku);
            }
        }
    }
}
