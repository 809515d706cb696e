//! What a saga has written in MySQL.

use super::saga::{Done, Saga};
use crate::action::Fault;
use crate::controls::Control;
use crate::machine::Input;
use crate::order::OrderNo;
use crate::servers::mysql::{self, Reply, Transaction};
use crate::world::{LEASE_MS, World};

impl World {
    /// The transaction that writes a saga's order down.
    pub fn recording(&self, saga: &Saga) -> Transaction {
        Transaction::Record {
            order: saga.order,
            saga: saga.number,
            key: self.orders[saga.order].key,
            lines: self.orders[saga.order].lines,
            created_ms: saga.created_ms,
            lease_until_ms: self.now_ms + LEASE_MS,
        }
    }

    /// Whether the stock suffices for an order and for the undecided ones before it.
    pub(super) fn check_stock_for(&self, order: OrderNo, fault: Fault) -> Input {
        if !matches!(fault, Fault::None | Fault::Twice) {
            return Input::Unclear;
        }
        let is_ahead = |other: &OrderNo| {
            self.mysql.order(*other).is_some() && self.mysql.outcome(*other).is_none()
        };
        let suffices = self.orders[order].lines.iter().all(|line| {
            let ahead = (0..order).filter(is_ahead);
            let ahead = ahead.flat_map(|other| self.orders[other].lines.iter());
            let ahead = ahead.filter(|other| other.sku == line.sku);
            let ahead: u64 = ahead.map(|other| other.quantity).sum();
            self.mysql.stock[line.sku] >= (ahead + line.quantity) as i64
        });
        if suffices { Input::Done } else { Input::Short }
    }

    /// A transaction of a saga.
    pub(super) fn transact(&mut self, transaction: Transaction, fault: Fault) -> Done {
        if self.mysql.is_blocked(&transaction) {
            return Done::Blocked;
        }
        let repeats = matches!(
            transaction,
            Transaction::Record { .. } | Transaction::Commit(..)
        );
        let input = match fault {
            Fault::None | Fault::Twice | Fault::Refused => self.execute(&transaction),
            Fault::Again if repeats => {
                self.execute(&transaction);
                return Done::Blocked;
            }
            Fault::ReplyLost | Fault::Again => {
                self.execute(&transaction);
                Input::Unclear
            }
            Fault::NotSent if matches!(transaction, Transaction::Record { .. }) => Input::Shed,
            Fault::Lost | Fault::NotSent => Input::Unclear,
            Fault::Late => {
                self.mysql.limbo.push(transaction);
                Input::Unclear
            }
        };
        Done::With(input)
    }

    pub(super) fn execute(&mut self, transaction: &Transaction) -> Input {
        let reply = self.on_mysql(transaction);
        self.input(transaction, reply)
    }

    /// A batch, and what each of its sagas is told.
    pub fn execute_all(&mut self, batch: &[Transaction]) -> Vec<Input> {
        let replies = self.on_mysql_all(batch);
        let told = batch.iter().zip(replies);
        told.map(|(transaction, reply)| self.input(transaction, reply))
            .collect()
    }

    pub(super) fn input(&mut self, transaction: &Transaction, reply: Reply) -> Input {
        if let (
            Transaction::Commit(order, _),
            Reply::Done,
            Some(Control::EventOutsideTransaction),
        ) = (transaction, reply, self.control)
        {
            // It goes the way of a second transaction, which may come to nothing.
            self.mysql
                .limbo
                .push(Transaction::Tell(*order, mysql::SOLD));
        }
        match reply {
            Reply::Done => Input::Done,
            Reply::KeyTaken => Input::KeyTaken,
            Reply::OrderExists => Input::OrderExists,
            Reply::StockRefused => {
                if let Transaction::Commit(order, _) = transaction {
                    self.check_promise(*order);
                }
                Input::StockRefused
            }
            Reply::LostRace => Input::LostRace,
            Reply::TooLate => Input::TooLate,
        }
    }

    pub(super) fn postpone(&mut self, order: OrderNo) {
        let now_ms = self.now_ms;
        if self.mysql.is_locked(order) {
            return;
        }
        if let Some(Some(row)) = self.mysql.orders.get_mut(order) {
            row.lease_until_ms = now_ms + (1_000 << row.attempts.min(6)).min(60_000);
        }
    }
}
