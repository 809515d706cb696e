//! Everything that can happen in the smallest case that is of interest: two buyers, one unit, two
//! proxies. Each call of each saga may come before or after each other's, and so may as many
//! disasters as are allowed. Walked by the model checker stateright.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stateright::{Model, Property};

use crate::action::{Action, Fault};
use crate::controls::Control;
use crate::machine::State as SagaState;
use crate::order::{Card, Lines};
use crate::servers::mysql::{Change, OrderRow};
use crate::simulation::Simulation;
use crate::world::{LEASE_MS, World};

/// What can go wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disasters {
    /// A proxy dies.
    pub crashes: u8,
    /// A call is lost, or its reply, or it arrives late or twice.
    pub calls: u8,
    /// Leases lapse, under a live saga or a dead one.
    pub lapses: u8,
    /// The first buyer cancels.
    pub cancellations: u8,
    /// Redis fails over and loses what it had not yet sent to its replica.
    pub fail_overs: u8,
    /// The second buyer's proxy does not reach Redis, and sells without it beside the first.
    pub without_redis: bool,
}

/// The smallest case.
#[derive(Clone, Copy, Debug)]
pub struct Smallest {
    /// What may go wrong.
    pub disasters: Disasters,
    /// The guard that is missing.
    pub control: Option<Control>,
}

/// Where the shop is, and what may still go wrong.
#[derive(Clone, Debug)]
pub struct Shop {
    world: World,
    left: Disasters,
}

/// A shop behind a lock, since a ledger keeps a note of what is due in a cell and so is not for
/// several threads at once, which the checker's are.
#[derive(Debug)]
pub struct Shared(Mutex<Shop>);

impl Shared {
    fn shop(&self) -> MutexGuard<'_, Shop> {
        // No thread panics while it looks at a shop, unless the checker is to stop anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.shop().clone()))
    }
}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let shop = self.shop();
        shop.world.hash(state);
        shop.left.hash(state);
    }
}

/// As the checker tells states apart.
impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        let fingerprint = |shared: &Self| {
            let mut hasher = DefaultHasher::new();
            shared.hash(&mut hasher);
            hasher.finish()
        };
        fingerprint(self) == fingerprint(other)
    }
}

impl Model for Smallest {
    type State = Shared;
    type Action = Action;

    fn init_states(&self) -> Vec<Shared> {
        let mut world = World::new(&[1], 2, self.control);
        // A batch of one is a transaction like any other.
        world.group_commit = false;
        for proxy in 0..2 {
            world.act(Action::Buy {
                proxy,
                lines: Lines::new(&[(0, 1)]),
                card: Card::Good,
                key: None,
                without_redis: self.disasters.without_redis && proxy == 1,
            });
        }
        vec![Shared(Mutex::new(Shop {
            world,
            left: self.disasters,
        }))]
    }

    fn actions(&self, shop: &Shared, actions: &mut Vec<Action>) {
        let shop = shop.shop();
        if shop.world.books.breach.is_some() {
            return;
        }
        shop.calls(actions);
        shop.disasters(actions);
    }

    fn next_state(&self, shop: &Shared, action: Action) -> Option<Shared> {
        let mut shop = shop.shop().clone();
        match action {
            Action::Step { fault, .. } if fault != Fault::None => shop.left.calls -= 1,
            Action::Crash { .. } => shop.left.crashes -= 1,
            Action::Wait(_) => shop.left.lapses -= 1,
            Action::Cancel { .. } => shop.left.cancellations -= 1,
            Action::FailOver { .. } => shop.left.fail_overs -= 1,
            _ => {}
        }
        shop.world.act(action);
        if shop.left.fail_overs == 0 {
            shop.world.redis.replicate(0, usize::MAX);
        }
        Some(Shared(Mutex::new(shop)))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("nothing happens that must not", |_, shop| {
                let shop = shop.shop();
                shop.world.books.breach.is_none()
            }),
            Property::<Self>::always("the one unit is sold once", |_, shop| {
                let shop = shop.shop();
                shop.sales() <= 1
            }),
            Property::<Self>::always("it comes to rest, and then all is right", |_, shop| {
                let shop = shop.shop();
                !shop.is_at_its_end() || shop.rests()
            }),
            Property::<Self>::sometimes("a buyer gets it", |_, shop| {
                let shop = shop.shop();
                shop.is_at_its_end() && shop.sales() == 1
            }),
            Property::<Self>::sometimes("both orders are decided", |_, shop| {
                let shop = shop.shop();
                shop.world.mysql.outcomes.iter().flatten().count() == 2
            }),
            Property::<Self>::sometimes("recovery finishes an order", |_, shop| {
                let shop = shop.shop();
                let mut rows = shop.rows();
                rows.any(|row| row.settled && row.attempts > 0)
            }),
            Property::<Self>::sometimes("two proxies are at one order", |_, shop| {
                let shop = shop.shop();
                let orders = |proxy: usize| shop.world.proxies[proxy].sagas.iter();
                orders(0).any(|one| orders(1).any(|other| one.order == other.order))
            }),
        ]
    }
}

impl Shop {
    /// The next call of each saga, and whatever is on its way.
    fn calls(&self, actions: &mut Vec<Action>) {
        for (proxy, running) in self.world.proxies.iter().enumerate() {
            for (saga, at) in running.sagas.iter().enumerate() {
                let faults: &[Fault] = match self.left.calls {
                    _ if !is_a_call(at.state) => &[Fault::None],
                    0 => &[Fault::None],
                    _ => &[
                        Fault::None,
                        Fault::Lost,
                        Fault::ReplyLost,
                        Fault::Late,
                        Fault::Twice,
                    ],
                };
                let steps = faults.iter().map(|fault| Action::Step {
                    proxy,
                    saga,
                    fault: *fault,
                });
                actions.extend(steps);
            }
        }
        if !self.world.on_the_way.is_empty() {
            actions.push(Action::Arrive { message: 0 });
            actions.push(Action::Vanish { message: 0 });
        }
        if !self.world.mysql.limbo.is_empty() {
            actions.extend([true, false].map(|committed| Action::Resolve {
                transaction: 0,
                committed,
            }));
        }
        let now_ms = self.world.now_ms;
        let is_stale = |row: &OrderRow| !row.settled && row.lease_until_ms < now_ms;
        if self.rows().any(is_stale) {
            actions.extend((0..2).map(|proxy| Action::Recover { proxy, most: 2 }));
        }
    }

    fn disasters(&self, actions: &mut Vec<Action>) {
        if self.left.crashes > 0 {
            let sagas = |proxy: &usize| !self.world.proxies[*proxy].sagas.is_empty();
            actions.extend((0..2).filter(sagas).map(|proxy| Action::Crash { proxy }));
        }
        if self.left.lapses > 0 && self.rows().any(|row| !row.settled) {
            actions.push(Action::Wait(LEASE_MS + 1));
        }
        if self.left.cancellations > 0 && self.world.may_be_cancelled(0) {
            actions.push(Action::Cancel { proxy: 1, order: 0 });
        }
        if self.left.fail_overs > 0 {
            actions.push(Action::FailOver { skew_ms: 0 });
            if self.world.redis.behind(0) > 0 {
                actions.push(Action::Replicate { sku: 0, changes: 1 });
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = &OrderRow> {
        self.world.mysql.orders.iter().flatten()
    }

    /// Sales that stand or stood.
    fn sales(&self) -> usize {
        let history = self.world.mysql.history.iter();
        let stands = |history: &&Vec<Change>| {
            history.contains(&Change::Sold) && !history.contains(&Change::Returned)
        };
        history.filter(stands).count()
    }

    /// True when no saga runs and nothing is on its way: what is left is recovery's.
    fn is_at_its_end(&self) -> bool {
        let world = &self.world;
        let idle = world.proxies.iter().all(|proxy| proxy.sagas.is_empty());
        idle && world.on_the_way.is_empty() && world.mysql.limbo.is_empty()
    }

    fn rests(&self) -> bool {
        let mut simulation = Simulation::of(self.world.clone());
        simulation.rest().is_ok()
    }
}

/// Whether the state's effect asks a server.
fn is_a_call(state: SagaState) -> bool {
    !state.is_at_rest()
}
