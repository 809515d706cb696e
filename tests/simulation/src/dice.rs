//! What happens next, thrown by a seed. Every shop has weather of its own, which says how often
//! what goes wrong: rare faults show what frequent ones would drown.

use fastrand::Rng;
use holdfast_stock::Retention;

use crate::action::{Action, Batch, Fault};
use crate::order::{Card, Lines, MOST_LINES};
use crate::world::{PATIENCE_MS, TAKEN_AGAIN_MS, World};

/// No shop stands still for longer: Redis remembers what it has adjusted for a week, and every
/// proxy asks for what it has not acknowledged each second.
const LONGEST_JUMP_MS: u64 = 2 * 3_600_000;

/// What goes wrong in one shop, and how often: so many times in a thousand.
#[derive(Clone, Debug)]
pub struct Weather {
    call_fails: u32,
    crash: u32,
    pause: u32,
    fail_over: u32,
    flush: u32,
    jump: u32,
    lag: u32,
    poison: u32,
    cancel: u32,
    without_redis: u32,
    kafka_is_away: bool,
    write_off: bool,
    give_up: bool,
    odd_cards: u32,
    /// Whether each SKU is on a node of its own.
    pub is_cluster: bool,
    /// Products.
    pub skus: usize,
    /// The most units of each at the beginning.
    pub stock: u64,
    /// Proxies.
    pub proxies: usize,
    /// Orders that are asked for before the shop comes to rest.
    pub orders: usize,
}

impl Weather {
    /// The weather of one shop.
    pub fn thrown(rng: &mut Rng) -> Self {
        let mut sometimes = |most: u32| {
            let happens = rng.bool();
            if happens { rng.u32(1..=most) } else { 0 }
        };
        Self {
            call_fails: sometimes(250),
            crash: sometimes(20),
            pause: sometimes(10),
            fail_over: sometimes(6),
            flush: sometimes(3),
            jump: sometimes(60),
            lag: sometimes(400),
            poison: sometimes(100),
            cancel: sometimes(60),
            without_redis: sometimes(700),
            odd_cards: sometimes(800),
            kafka_is_away: rng.u32(0..4) == 0,
            write_off: rng.bool(),
            give_up: rng.bool(),
            is_cluster: rng.bool(),
            skus: rng.usize(1..=3),
            // Where there is enough for everybody, more can go wrong than that it runs out.
            stock: match rng.u32(0..3) {
                0 => rng.u64(1..=5),
                _ => rng.u64(20..=120),
            },
            proxies: rng.usize(2..=3),
            orders: rng.usize(2..=60),
        }
    }

    /// What happens next.
    pub fn next(&self, world: &World, rng: &mut Rng) -> Action {
        if let Some(disaster) = self.disaster(world, rng) {
            return disaster;
        }
        match rng.u32(0..100) {
            0..53 => self.step(world, rng),
            53..60 => self.write(rng),
            60..68 => Action::Wait(rng.u64(0..200)),
            68..74 => self.shopper(world, rng),
            74..78 => Action::Renew {
                proxy: self.proxy(rng),
            },
            78..82 => Action::Recover {
                proxy: self.proxy(rng),
                most: rng.usize(1..8),
            },
            82..88 => self.network(world, rng),
            88..92 if self.kafka_is_away => Action::Wait(1),
            88..92 => self.relay(rng),
            92..96 => self.reconcile(rng),
            96..98 => self.provider(world, rng),
            _ => self.operator(world, rng),
        }
    }

    fn disaster(&self, world: &World, rng: &mut Rng) -> Option<Action> {
        let proxy = self.proxy(rng);
        let mut is = |in_a_thousand: u32| in_a_thousand > 0 && rng.u32(0..1000) < in_a_thousand;
        if is(self.crash) {
            return Some(Action::Crash { proxy });
        }
        if world.proxies[proxy].is_paused {
            if is(50) {
                return Some(Action::Pause {
                    proxy,
                    paused: false,
                });
            }
        } else if is(self.pause) {
            return Some(Action::Pause {
                proxy,
                paused: true,
            });
        }
        if is(self.fail_over) {
            let skew_ms = rng.u64(0..3_000);
            return Some(Action::FailOver { skew_ms });
        }
        if is(self.flush) {
            return Some(Action::Flush);
        }
        if is(self.jump) {
            return Some(self.jump(world, rng));
        }
        None
    }

    /// To the worst instant: a millisecond before, at or after something falls due.
    fn jump(&self, world: &World, rng: &mut Rng) -> Action {
        let order = rng.usize(0..world.orders.len().max(1));
        let row = world.mysql.order(order);
        let due = match rng.u32(0..8) {
            0..4 => {
                let ledger = world.redis.ledger(rng.usize(0..self.skus));
                let due = ledger.next_event_ms(&Retention::default());
                due.map(|due| due.saturating_sub(world.redis.skew_ms))
            }
            4..6 => row.map(|row| row.lease_until_ms),
            6 => row.map(|row| row.created_ms + PATIENCE_MS),
            _ => row.map(|row| row.created_ms + TAKEN_AGAIN_MS),
        };
        let instant = due.unwrap_or(world.now_ms) + rng.u64(0..3);
        let instant = instant.saturating_sub(1);
        Action::Wait(instant.saturating_sub(world.now_ms).min(LONGEST_JUMP_MS))
    }

    fn step(&self, world: &World, rng: &mut Rng) -> Action {
        let first = self.proxy(rng);
        let proxies = (0..self.proxies).map(|next| (first + next) % self.proxies);
        let running = |proxy: &usize| !world.proxies[*proxy].sagas.is_empty();
        let Some(proxy) = proxies.into_iter().find(running) else {
            return self.shopper(world, rng);
        };
        let sagas = world.proxies[proxy].sagas.len();
        // Where some lag, the youngest come first.
        let youngest = rng.u32(0..1000) < self.lag;
        let saga = if youngest {
            sagas - 1
        } else {
            rng.usize(0..sagas)
        };
        let fault = self.fault(rng);
        Action::Step { proxy, saga, fault }
    }

    fn write(&self, rng: &mut Rng) -> Action {
        let batch = if rng.bool() {
            Batch::Record
        } else {
            Batch::Commit
        };
        Action::Write {
            proxy: self.proxy(rng),
            batch,
            most: rng.usize(1..=8),
            fault: self.fault(rng),
        }
    }

    fn fault(&self, rng: &mut Rng) -> Fault {
        if rng.u32(0..1000) >= self.call_fails {
            return Fault::None;
        }
        match rng.u32(0..8) {
            0 => Fault::Lost,
            1 | 2 => Fault::ReplyLost,
            3 | 4 => Fault::Late,
            5 => Fault::Twice,
            6 => match rng.u32(0..4) {
                0 => Fault::Refused,
                _ => Fault::NotSent,
            },
            _ => Fault::Again,
        }
    }

    fn shopper(&self, world: &World, rng: &mut Rng) -> Action {
        let proxy = self.proxy(rng);
        let order = rng.usize(0..world.orders.len().max(1));
        let asks = world.orders.len() < self.orders;
        if rng.u32(0..1000) < self.cancel * 4 {
            return Action::Cancel { proxy, order };
        }
        match rng.u32(0..10) {
            0..4 if asks => Action::Buy {
                proxy,
                lines: self.lines(rng),
                card: self.card(rng),
                key: rng.bool().then(|| rng.u32(0..1_000)),
                without_redis: rng.u32(0..1000) < self.without_redis,
            },
            4 if rng.bool() => Action::BuyAgain { proxy, order },
            5 | 6 if asks => Action::TakeHold {
                lines: self.lines(rng),
                card: self.card(rng),
                fault: self.fault(rng),
            },
            7 => Action::ExtendHold {
                order,
                fault: self.fault(rng),
            },
            8 if self.give_up && rng.u32(0..4) == 0 => Action::ReleaseHold {
                order,
                fault: self.fault(rng),
            },
            _ => {
                let newest = world.orders.len().saturating_sub(rng.usize(1..4));
                Action::ConfirmHold {
                    proxy,
                    order: newest,
                }
            }
        }
    }

    fn network(&self, world: &World, rng: &mut Rng) -> Action {
        match rng.u32(0..4) {
            0 if !world.on_the_way.is_empty() => {
                let message = rng.usize(0..world.on_the_way.len());
                if rng.u32(0..4) == 0 {
                    Action::Vanish { message }
                } else {
                    Action::Arrive { message }
                }
            }
            1 if !world.mysql.limbo.is_empty() => Action::Resolve {
                transaction: rng.usize(0..world.mysql.limbo.len()),
                committed: rng.bool(),
            },
            2 => Action::Sweep {
                sku: rng.usize(0..self.skus),
            },
            _ => Action::Replicate {
                sku: rng.usize(0..self.skus),
                changes: rng.usize(1..6),
            },
        }
    }

    fn relay(&self, rng: &mut Rng) -> Action {
        let proxy = self.proxy(rng);
        match rng.u32(0..8) {
            0 => Action::ReadOutbox {
                proxy,
                most: rng.usize(1..20),
            },
            1..6 => Action::Relay {
                proxy,
                poisoned: rng.u32(0..1000) < self.poison,
            },
            6 => Action::RemoveRelayed { proxy },
            _ => Action::Unpark,
        }
    }

    fn reconcile(&self, rng: &mut Rng) -> Action {
        let proxy = self.proxy(rng);
        match rng.u32(0..5) {
            0 => Action::ReadLedger {
                proxy,
                sku: rng.usize(0..self.skus),
            },
            _ => Action::Reconcile {
                proxy,
                fault: self.fault(rng),
            },
        }
    }

    fn provider(&self, world: &World, rng: &mut Rng) -> Action {
        let order = rng.usize(0..world.orders.len().max(1));
        if rng.bool() {
            Action::Webhook { order }
        } else {
            Action::Complete {
                order,
                well: rng.u32(0..4) > 0,
            }
        }
    }

    fn operator(&self, world: &World, rng: &mut Rng) -> Action {
        let rows = world.mysql.logs.len();
        match rng.u32(0..8) {
            0 => Action::Adjust {
                sku: rng.usize(0..self.skus),
                delta: match rng.i64(if self.write_off { -3 } else { 1 }..4) {
                    0 => 1,
                    delta => delta,
                },
            },
            1 if !world.orders.is_empty() => Action::RetryParked {
                order: rng.usize(0..world.orders.len()),
            },
            _ => Action::DeliverChange {
                log: rng.usize(0..rows.max(1)),
                undo: rng.bool(),
                fault: self.fault(rng),
            },
        }
    }

    fn lines(&self, rng: &mut Rng) -> Lines {
        let first = rng.usize(0..self.skus);
        let mut lines = vec![(first, rng.u64(1..=2.min(self.stock)))];
        if lines.len() < MOST_LINES && first + 1 < self.skus && rng.bool() {
            lines.push((rng.usize(first + 1..self.skus), 1));
        }
        Lines::new(&lines)
    }

    fn card(&self, rng: &mut Rng) -> Card {
        if rng.u32(0..1000) >= self.odd_cards {
            return Card::Good;
        }
        match rng.u32(0..4) {
            0 => Card::Declined,
            1 => Card::Slow,
            2 => Card::SlowCapture,
            _ => Card::CaptureDeclined,
        }
    }

    fn proxy(&self, rng: &mut Rng) -> usize {
        rng.usize(0..self.proxies)
    }
}
