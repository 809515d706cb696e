//! A shop of one SKU: the real ledger beside modelled tables, orders at any step of theirs, and
//! servers that lose what they knew. The reconciler looks and mends in between, a step at a time.

mod accounts;
mod orders;
mod reconciler;
mod redis;
mod steps;

use std::collections::BTreeMap;

use holdfast_stock::Command;
use uuid::Uuid;

use super::{Decision, Gate, Truth, Verdict};
use orders::{Logged, Order};
use reconciler::Look;
use redis::Redis;
pub use steps::{Step, lossless, lossy};

/// Units at the beginning.
pub const UNITS: i64 = 12;
const HOLD_MS: u64 = 15_000;
const ORPHAN_AGE_MS: u64 = 15_000;
const TAKEN_AGAIN_MS: u64 = 3_000_000;

/// Everything there is.
pub struct World {
    now_ms: u64,
    stock: i64,
    orders: BTreeMap<Uuid, Order>,
    changes: Vec<Logged>,
    redis: Redis,
    replica: Redis,
    look: Look,
    decide: fn(Option<&Gate>, &Truth, Option<i64>) -> Verdict,
    /// True when what Redis must show has changed since the reconciler began to look, though Redis
    /// has not. Only an order whose hold is lost can do that: when it grows too old to be taken
    /// again, is given up, or is taken up again to be cancelled.
    pub is_outdated: bool,
    /// How often the key was lost or made anew by others since the reconciler began to look.
    upheavals: u32,
    /// What the reconciler did, and whether the count was as it had to be then.
    pub mended: Vec<(Decision, bool)>,
    /// Orphans that it ended.
    pub ended: usize,
}

impl World {
    /// A shop that nobody has bought in.
    pub fn new(decide: fn(Option<&Gate>, &Truth, Option<i64>) -> Verdict) -> Self {
        let mut world = Self {
            now_ms: 1_000_000,
            stock: UNITS,
            orders: BTreeMap::new(),
            changes: Vec::new(),
            redis: Redis::default(),
            replica: Redis::default(),
            look: Look::None,
            is_outdated: false,
            upheavals: 0,
            decide,
            mended: Vec::new(),
            ended: 0,
        };
        world.set(UNITS);
        world.replica = world.redis.clone();
        world
    }

    pub fn take(&mut self, step: &Step) {
        let before = (self.seq(), self.expected());
        self.take_step(step);
        let after = (self.seq(), self.expected());
        self.is_outdated |= before.0 == after.0 && before.1 != after.1;
        self.upheavals += u32::from(before.0.is_some() != after.0.is_some());
        // Another way may have led back to the same version: see [`Step::FailOver`].
        if self.upheavals > 1 {
            self.look = Look::None;
        }
        if matches!(self.look, Look::None) {
            (self.is_outdated, self.upheavals) = (false, 0);
        }
    }

    fn take_step(&mut self, step: &Step) {
        match *step {
            Step::Begin(quantity) => self.begin(quantity),
            Step::Advance(number) => self.with_order(number, Self::advance),
            Step::Undo(number) => self.with_order(number, Self::undo),
            Step::Adjust(delta) if delta != 0 && self.stock + delta >= 0 => {
                self.change(format!("change-{}", self.changes.len()), delta, None);
            }
            Step::Adjust(_) => {}
            Step::Deliver(number) => self.with_change(number, Self::deliver),
            Step::Acknowledge(number) => self.with_change(number, Self::acknowledge),
            Step::Wait(ms) => self.now_ms += ms,
            Step::Reconcile => self.reconcile(),
            Step::ReconcileBeside => self.reconcile_beside(),
            Step::Replicate => self.replica = self.redis.clone(),
            // A ledger that has lost its last changes may come to the same version by another
            // way, so a look is not carried across; the shell's takes milliseconds.
            Step::FailOver => (self.redis, self.look) = (self.replica.clone(), Look::None),
            Step::Flush => self.redis = Redis::default(),
            Step::Tamper(delta) => {
                self.tell(Command::Adjust {
                    delta: if delta == 0 { 1 } else { delta },
                    id: None,
                    only_if: None,
                    force: true,
                });
            }
        }
    }

    /// Everybody finishes what is begun, changes are delivered, and the reconciler walks a few
    /// times.
    pub fn come_to_rest(&mut self) {
        self.look = Look::None;
        for _ in 0..6 {
            for number in 0..self.changes.len() {
                self.deliver(number);
                self.acknowledge(number);
            }
            let orders: Vec<Uuid> = self.orders.keys().copied().collect();
            for order in orders {
                for _ in 0..8 {
                    self.advance(order);
                }
            }
            self.now_ms += 2 * HOLD_MS;
            for _ in 0..4 * 4 {
                self.reconcile();
            }
        }
    }
}
