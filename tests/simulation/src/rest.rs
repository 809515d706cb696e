//! The end of all faults: everything is driven on until nothing is left to do.

use crate::action::{Action, Batch, Fault};
use crate::order::SkuNo;
use crate::proxy::reconciler;
use crate::servers::mysql::Status;
use crate::simulation::{Breach, Simulation};
use crate::world::CHECKOUT_HOLD_MS;

/// Rounds after which what is not at rest never will be.
const ROUNDS: usize = 40;
/// Calls that a saga needs at the very most.
const CALLS: usize = 10_000;
/// Longer than any lease that is put off, in milliseconds.
const LONG_MS: u64 = 61_000;

impl Simulation {
    /// Brings the shop to rest, and checks everything there.
    pub fn rest(&mut self) -> Result<(), Breach> {
        for proxy in 0..self.world.proxies.len() {
            self.act(Action::Pause {
                proxy,
                paused: false,
            })?;
        }
        for _ in 0..ROUNDS {
            self.finish_calls()?;
            self.finish_sagas()?;
            self.tell_everybody()?;
            if self.is_settled() {
                break;
            }
            self.rebuild_what_is_lost()?;
            self.act(Action::Wait(LONG_MS))?;
        }
        self.world.check_counts_before_reconciling();
        self.breach()?;
        // Holds that nobody pays for run out, by whatever clock they were taken.
        self.act(Action::Wait(CHECKOUT_HOLD_MS + LONG_MS))?;
        for _ in 0..ROUNDS {
            let is_right = !self.reconcile_all()?;
            self.finish_sagas()?;
            self.tell_everybody()?;
            if is_right && self.is_settled() && self.is_told() {
                break;
            }
            self.act(Action::Wait(LONG_MS))?;
        }
        self.tell_everybody()?;
        self.world.check_at_rest();
        self.breach()
    }

    fn finish_calls(&mut self) -> Result<(), Breach> {
        while !self.world.mysql.limbo.is_empty() {
            let committed = self.rng.bool();
            self.act(Action::Resolve {
                transaction: 0,
                committed,
            })?;
        }
        while !self.world.on_the_way.is_empty() {
            self.act(Action::Arrive { message: 0 })?;
        }
        for proxy in 0..self.world.proxies.len() {
            while self.world.proxies[proxy].look.is_some() {
                self.act(Action::Reconcile {
                    proxy,
                    fault: Fault::None,
                })?;
            }
        }
        Ok(())
    }

    fn finish_sagas(&mut self) -> Result<(), Breach> {
        let pending: Vec<_> = self.world.provider.pending().collect();
        for order in pending {
            let well = self.rng.u32(0..4) > 0;
            self.act(Action::Complete { order, well })?;
        }
        for order in 0..self.world.orders.len() {
            let status = self.world.mysql.order(order).map(|row| row.status);
            if status == Some(Status::Parked) {
                self.act(Action::RetryParked { order })?;
            }
        }
        for proxy in 0..self.world.proxies.len() {
            self.act(Action::Recover {
                proxy,
                most: usize::MAX,
            })?;
            let mut calls = 0;
            while !self.world.proxies[proxy].sagas.is_empty() && calls < CALLS {
                self.act(Action::Step {
                    proxy,
                    saga: 0,
                    fault: Fault::None,
                })?;
                for batch in [Batch::Record, Batch::Commit] {
                    if !self.world.proxies[proxy].queue(batch).is_empty() {
                        self.act(Action::Write {
                            proxy,
                            batch,
                            most: usize::MAX,
                            fault: Fault::None,
                        })?;
                    }
                }
                // A control may leave a transaction behind.
                self.finish_calls()?;
                calls += 1;
            }
        }
        Ok(())
    }

    fn tell_everybody(&mut self) -> Result<(), Breach> {
        for log in 0..self.world.mysql.logs.len() {
            if self.world.mysql.logs[log].acknowledged {
                continue;
            }
            self.act(Action::DeliverChange {
                log,
                undo: false,
                fault: Fault::None,
            })?;
        }
        self.act(Action::Unpark)?;
        for proxy in 0..self.world.proxies.len() {
            // What it had read before is sent first.
            for _ in 0..2 {
                if self.world.mysql.outbox.is_empty() {
                    break;
                }
                self.act(Action::ReadOutbox {
                    proxy,
                    most: usize::MAX,
                })?;
                while !self.world.proxies[proxy].to_send.is_empty() {
                    self.act(Action::Relay {
                        proxy,
                        poisoned: false,
                    })?;
                }
                self.act(Action::RemoveRelayed { proxy })?;
            }
        }
        for sku in 0..self.world.mysql.stock.len() {
            self.act(Action::Sweep { sku })?;
            self.act(Action::Replicate {
                sku,
                changes: usize::MAX,
            })?;
        }
        Ok(())
    }

    /// One look at every SKU. Answers whether something had to be done.
    fn reconcile_all(&mut self) -> Result<bool, Breach> {
        let mut found = false;
        for sku in 0..self.world.mysql.stock.len() {
            found |= self.reconcile_one(sku)?;
        }
        Ok(found)
    }

    /// Orders wait for stock that Redis does not know.
    fn rebuild_what_is_lost(&mut self) -> Result<(), Breach> {
        for sku in 0..self.world.mysql.stock.len() {
            if self.world.redis.ledger(sku).seq() == 0 {
                self.reconcile_one(sku)?;
            }
        }
        Ok(())
    }

    fn reconcile_one(&mut self, sku: SkuNo) -> Result<bool, Breach> {
        let mut found = false;
        self.act(Action::Sweep { sku })?;
        self.act(Action::ReadLedger { proxy: 0, sku })?;
        while self.world.proxies[0].look.is_some() {
            self.act(Action::Reconcile {
                proxy: 0,
                fault: Fault::None,
            })?;
            let look = self.world.proxies[0].look.as_ref();
            found |= look.is_some_and(reconciler::Look::finds_something);
        }
        Ok(found)
    }

    fn is_settled(&self) -> bool {
        let world = &self.world;
        let mut orders = world.mysql.orders.iter().flatten();
        let idle = world.proxies.iter().all(|proxy| proxy.sagas.is_empty());
        idle && orders.all(|row| row.settled)
    }

    /// Redis has every change of stock.
    fn is_told(&self) -> bool {
        self.world.mysql.logs.iter().all(|row| row.acknowledged)
    }
}
