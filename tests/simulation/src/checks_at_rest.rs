//! What must hold once all faults are over and nothing is left to do: everything.
//! The letters are those of the invariants in ARCHITECTURE.md.

use crate::history::Subject;
use crate::order::OrderNo;
use crate::servers::mysql::{Change, Key, Status};
use crate::world::World;

impl World {
    /// D, before the reconciler has been there: where Redis has lost nothing, it needs none.
    pub fn check_counts_before_reconciling(&mut self) {
        for sku in 0..self.mysql.stock.len() {
            let on_hand = self.redis.ledger(sku).summary(self.now_ms).on_hand;
            let waiting = self.mysql.logs.iter();
            let waiting = waiting.filter(|row| row.sku == sku && !row.acknowledged);
            let waiting: i64 = waiting.map(|row| row.delta).sum();
            let stock = self.mysql.stock[sku] - waiting;
            if !self.books.excused[sku] && on_hand as i64 != stock {
                (self.books).breach(Subject::Sku(sku), || {
                    format!("D: SKU {sku} has {stock} in MySQL and {on_hand} in Redis, which has lost nothing")
                });
            }
        }
    }

    /// Everything, once all faults are over and nothing is left to do.
    pub fn check_at_rest(&mut self) {
        for sku in 0..self.mysql.stock.len() {
            self.check_stock_at_rest(sku);
        }
        for order in 0..self.orders.len() {
            self.check_order_at_rest(order);
        }
        if let Some(waiting) = self.mysql.outbox.first().copied() {
            (self.books).breach(Subject::Shop, || {
                format!("E: {waiting:?} still waits at rest")
            });
        }
        if let Some(log) = self
            .mysql
            .logs
            .iter()
            .find(|row| !row.acknowledged)
            .copied()
        {
            (self.books).breach(Subject::Shop, || {
                format!("D: Redis was never told of {log:?}")
            });
        }
        if !self.redis.replicas_agree() {
            (self.books).breach(Subject::Shop, || {
                "D: a replica that has every effect differs".to_owned()
            });
        }
    }

    fn check_stock_at_rest(&mut self, sku: usize) {
        let mut sold = 0;
        for (order, history) in self.mysql.history.iter().enumerate() {
            let line = self.orders[order].lines.iter().find(|line| line.sku == sku);
            let quantity = line.map_or(0, |line| line.quantity as i64);
            let count = |change| history.iter().filter(|other| **other == change).count() as i64;
            sold += quantity * (count(Change::Sold) - count(Change::Returned));
        }
        let (stock, stocked) = (self.mysql.stock[sku], self.books.stocked[sku]);
        if stock != stocked - sold {
            (self.books).breach(Subject::Sku(sku), || {
                format!("A: of {stocked} of SKU {sku} {sold} are sold, and MySQL has {stock}")
            });
        }
        let summary = self
            .redis
            .ledger(sku)
            .summary(self.redis.clock(self.now_ms));
        if summary.holds > 0 || summary.held > 0 {
            (self.books).breach(Subject::Sku(sku), || {
                format!("C: SKU {sku} is held at rest: {summary:?}")
            });
        }
        if summary.on_hand as i64 != stock {
            (self.books).breach(Subject::Sku(sku), || {
                format!("D: SKU {sku} has {stock} in MySQL, and in Redis {summary:?}")
            });
        }
    }

    fn check_order_at_rest(&mut self, order: OrderNo) {
        let history = self.mysql.history.get(order).cloned().unwrap_or_default();
        let row = self.mysql.order(order);
        let (status, settled) = (row.map(|row| row.status), row.is_none_or(|row| row.settled));
        let is_sold = status == Some(Status::Confirmed);
        let is_over = matches!(
            status,
            None | Some(Status::Confirmed | Status::Cancelled | Status::Expired | Status::Refunded)
        );
        if !is_over || !settled {
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} is {status:?} and settled is {settled} at rest: {history:?}")
            });
        }
        if self.provider.may_have_money(order) && !is_sold {
            let stands = self.provider.standing(order);
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} is {status:?} and its money {stands:?}")
            });
        }
        if is_sold && !self.provider.has_money(order) {
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} is sold and not paid for")
            });
        }
        if is_sold && self.redis.carts.times(order) == 0 {
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} is sold, and still in its cart")
            });
        }
        let refused = self.books.was_refused(order);
        if refused && is_sold {
            (self.books).breach(Subject::Order(order), || {
                format!("B: the buyer of order {order} was refused, and it is sold")
            });
        }
        let is_cancelled =
            history.contains(&Change::Returned) && self.books.was_cancelled_by_shopper(order);
        if self.books.is_acknowledged(order) && !is_sold && !is_cancelled {
            (self.books).breach(Subject::Order(order), || {
                format!("B: order {order} was acknowledged and is {status:?}")
            });
        }
        let told: Vec<_> = history.iter().flat_map(|change| change.events()).collect();
        let consumed = self.kafka.consumed(Key::Order(order));
        if !consumed
            .iter()
            .map(|event| &event.kind)
            .eq(told.iter().copied())
        {
            (self.books).breach(Subject::Order(order), || {
                format!("E: order {order} went through {history:?}, consumers saw {consumed:?}")
            });
        }
    }
}
