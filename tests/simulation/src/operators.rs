//! Operators who change stock, as `catalogue/stock_change` does it: MySQL first, then Redis
//! under the change's id.

use holdfast_stock::{Command, Word};

use crate::action::Fault;
use crate::order::{self, SkuNo};
use crate::servers::mysql::Transaction;
use crate::servers::redis::{Call, Refused};
use crate::world::World;

impl World {
    /// Changes the stock in MySQL.
    pub fn adjust(&mut self, sku: SkuNo, delta: i64) {
        let adjust = Transaction::Adjust(sku, delta);
        if !self.mysql.is_blocked(&adjust) {
            self.on_mysql(&adjust);
        }
    }

    /// Tells Redis of a change that it has not acknowledged. What a saga has returned is the
    /// saga's own to deliver.
    pub fn deliver_change(&mut self, log: usize, undo: bool, fault: Fault) {
        let Some(row) = self.mysql.logs.get(log).copied() else {
            return;
        };
        let acknowledge = Transaction::Acknowledge(log);
        if row.acknowledged || row.returned.is_some() || self.mysql.is_blocked(&acknowledge) {
            return;
        }
        let id = order::id(&row.adjustment_id(log));
        let adjust = Command::Adjust {
            delta: row.delta,
            id: Some(id),
            only_if: None,
            force: false,
        };
        let mut answer = self.call_redis(Call::One(row.sku, adjust.clone()), fault);
        if answer == Some(Err(Refused::NoSuchStock)) {
            let set = Command::Set {
                on_hand: 0,
                only_if: Some(0),
                force: false,
            };
            self.call_redis(Call::One(row.sku, set), Fault::None);
            answer = self.call_redis(Call::One(row.sku, adjust), fault);
        }
        match answer {
            Some(Ok(Word::BelowHeld)) if undo => {
                self.on_mysql(&Transaction::Undo(log));
            }
            Some(Ok(Word::Ok)) => {
                self.on_mysql(&acknowledge);
            }
            _ => {}
        }
    }
}
