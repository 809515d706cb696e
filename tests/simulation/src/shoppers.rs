//! Shoppers who buy, hold, change their minds and ask again.

use holdfast_stock::Command;

use crate::action::Fault;
use crate::machine::{self, Reason};
use crate::order::{Card, Lines, Order, OrderNo};
use crate::servers::mysql::Status;
use crate::servers::redis::Call;
use crate::world::{CHECKOUT_HOLD_MS, World};

impl World {
    /// Whether the order can be cancelled by whoever looks now.
    pub fn may_be_cancelled(&self, order: OrderNo) -> bool {
        let status = self.mysql.order(order).map(|row| row.status);
        matches!(
            status,
            Some(Status::Pending | Status::Paid | Status::Confirmed)
        )
    }

    /// Somebody wants to buy.
    pub fn buy(
        &mut self,
        proxy: usize,
        lines: Lines,
        card: Card,
        key: Option<u32>,
        without_redis: bool,
    ) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let order = self.orders.len();
        self.orders.push(Order::new(order, lines, card, key, false));
        let first = if without_redis {
            // Redis promises on what is sold without it.
            self.books.promises_lost = true;
            machine::begin_without_redis()
        } else {
            machine::begin()
        };
        self.start(proxy, order, Some(card), first, self.now_ms);
    }

    /// The answer to a request that came before is found in the tables; one that came to nothing
    /// is a new order.
    pub fn buy_again(&mut self, proxy: usize, order: OrderNo) {
        let Some(asked) = self.orders.get(order) else {
            return;
        };
        let Some(key) = asked
            .key
            .filter(|key| self.mysql.order_with(*key).is_none())
        else {
            return;
        };
        let (lines, card) = (asked.lines, asked.card);
        self.buy(proxy, lines, card, Some(key), false);
    }

    /// Has units held at checkout, to be paid for later.
    pub fn take_hold(&mut self, lines: Lines, card: Card, fault: Fault) {
        let order = self.orders.len();
        let asked = Order::new(order, lines, card, None, true);
        if self.is_cluster {
            self.orders.push(asked);
            return self.take_hold_of_each(order, fault);
        }
        let reserve = Call::ReserveAll {
            id: asked.hold_id.clone(),
            lines,
            ttl_ms: CHECKOUT_HOLD_MS,
        };
        self.orders.push(asked);
        self.call_redis(reserve, fault);
    }

    /// Asks for more time.
    pub fn extend_hold(&mut self, order: OrderNo, fault: Fault) {
        let Some(asked) = self.orders.get(order) else {
            return;
        };
        let (id, lines) = (asked.hold_id.clone(), asked.lines);
        for line in lines.iter() {
            let extend = Command::Extend {
                id: id.clone(),
                for_ms: CHECKOUT_HOLD_MS,
            };
            self.call_redis(Call::One(line.sku, extend), fault);
        }
    }

    /// Pays for what is held; a confirmation that comes again finds the order.
    pub fn confirm_hold(&mut self, proxy: usize, order: OrderNo) {
        let is_known = self.mysql.order(order).is_some();
        let Some(asked) = self
            .orders
            .get(order)
            .filter(|asked| asked.held_at_checkout)
        else {
            return;
        };
        if !is_known && !self.proxies[proxy].is_paused {
            let card = asked.card;
            self.start(
                proxy,
                order,
                Some(card),
                machine::begin_with_hold(),
                self.now_ms,
            );
        }
    }

    /// Looks first whether the hold has become an order, which may happen before the release
    /// arrives.
    pub fn release_hold(&mut self, order: OrderNo, fault: Fault) {
        let Some(asked) = self
            .orders
            .get(order)
            .filter(|asked| asked.held_at_checkout)
        else {
            return;
        };
        if self.mysql.order(order).is_some() {
            return;
        }
        let (id, lines) = (asked.hold_id.clone(), asked.lines);
        self.books.given_up(order);
        for line in lines.iter() {
            let release = Command::Release { id: id.clone() };
            self.call_redis(Call::One(line.sku, release), fault);
        }
    }

    /// Calls an order off, whatever its own saga is doing.
    pub fn cancel(&mut self, proxy: usize, order: OrderNo) {
        let created_ms = self.mysql.order(order).map(|row| row.created_ms);
        if let Some(created_ms) = created_ms.filter(|_| self.may_be_cancelled(order))
            && !self.proxies[proxy].is_paused
        {
            self.books.cancelled_by_shopper(order);
            self.start(
                proxy,
                order,
                None,
                machine::begin_cancel(Reason::CancelledByShopper),
                created_ms,
            );
        }
    }
}
