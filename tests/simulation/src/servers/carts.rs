//! The carts in Redis: each order is made of one of its own.

use std::collections::BTreeMap;

use crate::order::OrderNo;

/// How often each order was taken out of its cart.
#[derive(Clone, Debug, Default, Hash)]
pub struct Carts {
    taken_out: BTreeMap<OrderNo, u32>,
    /// Nothing keeps an order from being taken out again.
    pub without_mark: bool,
}

impl Carts {
    /// Takes what the order bought out of its cart.
    pub fn take_out(&mut self, order: OrderNo) {
        let times = self.taken_out.entry(order).or_default();
        if *times == 0 || self.without_mark {
            *times += 1;
        }
    }

    /// How often that was done.
    pub fn times(&self, order: OrderNo) -> u32 {
        self.taken_out.get(&order).copied().unwrap_or_default()
    }
}
