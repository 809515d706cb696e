//! Leases: keeping one's own sagas, and taking up what nobody keeps.

use crate::machine;
use crate::order::OrderNo;
use crate::servers::mysql::{OrderRow, Status};
use crate::world::{LEASE_MS, World};

impl World {
    /// One batch: every order that this proxy runs stays its own for a while.
    pub fn renew(&mut self, proxy: usize) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let until_ms = self.now_ms + LEASE_MS;
        for saga in 0..self.proxies[proxy].sagas.len() {
            let order = self.proxies[proxy].sagas[saga].order;
            if self.mysql.is_locked(order) {
                continue;
            }
            if let Some(Some(row)) = self.mysql.orders.get_mut(order)
                && !row.settled
            {
                row.lease_until_ms = row.lease_until_ms.max(until_ms);
            }
        }
    }

    /// Leases what was left, `FOR UPDATE SKIP LOCKED`, and begins a saga for each.
    pub fn recover(&mut self, proxy: usize, most: usize) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let stale: Vec<OrderNo> = (0..self.mysql.orders.len())
            .filter(|order| {
                let row = self.mysql.order(*order);
                row.is_some_and(|row| self.is_stale(row)) && !self.mysql.is_locked(*order)
            })
            .take(most)
            .collect();
        for order in stale {
            let Some(row) = self.mysql.order(order) else {
                continue;
            };
            let (found, created_ms) = (self.found(order, row), row.created_ms);
            if let Some(Some(row)) = self.mysql.orders.get_mut(order) {
                row.lease_until_ms = self.now_ms + LEASE_MS;
                row.attempts += 1;
            }
            self.start(proxy, order, None, machine::resume(found), created_ms);
        }
    }

    fn is_stale(&self, row: &OrderRow) -> bool {
        !row.settled && row.status != Status::Parked && row.lease_until_ms < self.now_ms
    }
}
