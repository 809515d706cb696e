//! Redis with the module: the real ledger, decided and applied as the module does it, and a
//! replica that follows behind and may have to take over.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use holdfast_stock::{
    Command, Effect, Id, Ledger, Misuse, Policy, Record, Retention, Standing, State, Until, Word,
};

use super::carts::Carts;
use crate::order::{self, Lines, OrderNo, SkuNo};
use crate::reconcile::Rebuild;

/// Holds that one sweep ends, and memories that it drops.
const SWEPT: usize = 64;

/// A primary and its replica.
#[derive(Clone, Debug, Default)]
pub struct Redis {
    shards: Vec<Shard>,
    /// What shoppers mean to buy. No failover sets them back: that is not what is tried here.
    pub carts: Carts,
    /// How far the primary's clock is ahead of the others', in milliseconds.
    pub skew_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    primary: Ledger,
    replica: Ledger,
    behind: VecDeque<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Effect(Effect),
    Deleted,
}

/// A command that is an error, not an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `NOSUCHSTOCK`: the key does not exist.
    NoSuchStock,
    /// Anything else.
    Misuse(Misuse),
}

/// A command on its way.
#[derive(Clone, Debug)]
pub enum Call {
    /// `INV.MRESERVE … PX`.
    ReserveAll {
        /// The hold.
        id: Id,
        /// All of these, or none.
        lines: Lines,
        /// How long, in milliseconds.
        ttl_ms: u64,
    },
    /// Any command on one key.
    One(SkuNo, Command),
    /// `MULTI`: `INV.SET … IF 0` and `INV.PREPARE … LATE` of the orders in flight.
    Rebuild(SkuNo, Rebuild),
    /// The script that takes what an order bought out of its cart.
    EmptyCart(OrderNo),
}

impl Redis {
    /// Keys with these counts, on both nodes.
    pub fn new(stock: &[u64]) -> Self {
        let mut redis = Self {
            shards: vec![Shard::default(); stock.len()],
            carts: Carts::default(),
            skew_ms: 0,
        };
        for (sku, &on_hand) in stock.iter().enumerate() {
            let set = Command::Set {
                on_hand,
                only_if: None,
                force: false,
            };
            let set = redis.call(&Call::One(sku, set), 0);
            debug_assert_eq!(set, Ok(Word::Ok));
            redis.replicate(sku, usize::MAX);
        }
        redis
    }

    /// Does what a client asks, and answers with the (first refusing) word.
    pub fn call(&mut self, call: &Call, now_ms: u64) -> Result<Word, Refused> {
        let now_ms = now_ms + self.skew_ms;
        match call {
            Call::One(sku, command) => {
                let shard = &mut self.shards[*sku];
                let (word, effects) = shard.decide(command, now_ms)?;
                shard.apply_all(effects);
                Ok(word)
            }
            Call::Rebuild(sku, rebuild) => self.rebuild(*sku, rebuild, now_ms),
            Call::EmptyCart(order) => {
                self.carts.take_out(*order);
                Ok(Word::Ok)
            }
            Call::ReserveAll { id, lines, ttl_ms } => {
                let mut decided = Vec::with_capacity(lines.len());
                for line in lines.iter() {
                    let command = Command::Reserve {
                        id: id.clone(),
                        quantity: line.quantity,
                        until: Until::In(*ttl_ms),
                    };
                    let (word, effects) = self.shards[line.sku].decide(&command, now_ms)?;
                    if word != Word::Reserved {
                        return Ok(word);
                    }
                    decided.push((line.sku, effects));
                }
                for (sku, effects) in decided {
                    self.shards[sku].apply_all(effects);
                }
                Ok(Word::Reserved)
            }
        }
    }

    /// A transaction of Redis does all of its commands, whatever each comes to.
    fn rebuild(&mut self, sku: SkuNo, rebuild: &Rebuild, now_ms: u64) -> Result<Word, Refused> {
        let shard = &mut self.shards[sku];
        let set = Command::Set {
            on_hand: rebuild.on_hand as u64,
            only_if: Some(0),
            force: false,
        };
        let (made, effects) = shard.decide(&set, now_ms)?;
        shard.apply_all(effects);
        for (order, quantity) in &rebuild.prepares {
            let prepare = Command::Prepare {
                id: order::id(&order.to_string()),
                late: Some(*quantity as u64),
            };
            if let Ok((_, effects)) = shard.decide(&prepare, now_ms) {
                shard.apply_all(effects);
            }
        }
        Ok(made)
    }

    /// The ledger of a SKU as the primary has it; its `seq` is 0 where there is no key.
    pub fn ledger(&self, sku: SkuNo) -> &Ledger {
        &self.shards[sku].primary
    }

    /// The primary's clock.
    pub fn clock(&self, now_ms: u64) -> u64 {
        now_ms + self.skew_ms
    }

    /// How many changes the replica of a key is behind.
    pub fn behind(&self, sku: SkuNo) -> usize {
        self.shards[sku].behind.len()
    }

    /// Whether a failover would lose something now.
    pub fn is_behind(&self) -> bool {
        self.shards.iter().any(|shard| !shard.behind.is_empty())
    }

    /// The timer of the module: ends what is due and drops what need not be remembered.
    pub fn sweep(&mut self, sku: SkuNo, now_ms: u64) {
        let now_ms = now_ms + self.skew_ms;
        let shard = &mut self.shards[sku];
        if let Some(effect) = shard.primary.overdue(now_ms, SWEPT) {
            shard.apply(effect);
        }
        if let Some(effect) = shard
            .primary
            .forgettable(&Retention::default(), now_ms, SWEPT)
        {
            shard.apply(effect);
        }
    }

    /// The replica takes the oldest `count` changes that it has not got.
    pub fn replicate(&mut self, sku: SkuNo, count: usize) {
        let shard = &mut self.shards[sku];
        let count = count.min(shard.behind.len());
        for change in shard.behind.drain(..count) {
            match change {
                Change::Deleted => shard.replica = Ledger::default(),
                Change::Effect(effect) => follow(&mut shard.replica, &effect),
            }
        }
    }

    /// The replica takes over with what it has. Answers for each SKU whether a change of the
    /// count was lost, which only the reconciler can notice.
    pub fn fail_over(&mut self, skew_ms: u64) -> Vec<bool> {
        self.skew_ms = skew_ms;
        let lost = self.shards.iter_mut().map(|shard| {
            shard.primary = shard.replica.clone();
            let counted = |change: &Change| match change {
                Change::Effect(effect) => matches!(
                    effect,
                    Effect::Counted { .. }
                        | Effect::Adjusted { .. }
                        | Effect::Confirmed { .. }
                        | Effect::Returned { .. }
                ),
                Change::Deleted => true,
            };
            let lost = shard.behind.iter().any(counted);
            shard.behind.clear();
            lost
        });
        lost.collect()
    }

    /// `FLUSHALL`.
    pub fn flush(&mut self) {
        for shard in &mut self.shards {
            shard.primary = Ledger::default();
            shard.behind.push_back(Change::Deleted);
        }
    }

    /// True when every replica is where its primary is, however it got there.
    pub fn replicas_agree(&self) -> bool {
        let mut shards = self.shards.iter();
        shards.all(|shard| !shard.behind.is_empty() || shard.primary == shard.replica)
    }
}

impl Shard {
    fn decide(&self, command: &Command, now_ms: u64) -> Result<(Word, Vec<Effect>), Refused> {
        if self.primary.seq() == 0 && !matches!(command, Command::Set { .. }) {
            return Err(Refused::NoSuchStock);
        }
        let decision = self.primary.decide(command, &Policy::default(), now_ms);
        let decision = decision.map_err(Refused::Misuse)?;
        Ok((decision.word, decision.effects))
    }

    fn apply_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.apply(effect);
        }
    }

    fn apply(&mut self, effect: Effect) {
        follow(&mut self.primary, &effect);
        self.behind.push_back(Change::Effect(effect));
    }
}

/// Applies what was decided on a ledger like this; that it fits is the ledger's own promise.
fn follow(ledger: &mut Ledger, effect: &Effect) {
    if let Err(inconsistent) = ledger.apply(effect) {
        unreachable!("{effect:?} was decided and not applied: {inconsistent}");
    }
}

/// How a hold stands on the primary, in one word.
pub fn standing(ledger: &Ledger, id: &Id, now_ms: u64) -> Option<Word> {
    match ledger.standing(id, now_ms) {
        Standing::Unknown => None,
        Standing::Live(hold) => Some(match hold.state {
            State::Held { .. } => Word::Reserved,
            State::Prepared { .. } => Word::Prepared,
        }),
        Standing::Due(_) => Some(Word::Expired),
        Standing::Finished(outcome) => Some(outcome.ending.word()),
    }
}

/// Without `seq` and without what a command could not tell apart, so that a model checker sees
/// one state where there is one.
impl Hash for Redis {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for shard in &self.shards {
            hash_ledger(&shard.primary, state);
            hash_ledger(&shard.replica, state);
            shard.behind.len().hash(state);
        }
        self.skew_ms.hash(state);
        self.carts.hash(state);
    }
}

fn hash_ledger<H: Hasher>(ledger: &Ledger, state: &mut H) {
    let mut outcomes: Vec<_> = Vec::new();
    for record in ledger.records() {
        match record {
            Record::Base { on_hand, sold, .. } => (on_hand, sold).hash(state),
            Record::Hold { hold, .. } => {
                let prepared = matches!(hold.state, State::Prepared { .. });
                (hold.id, hold.quantity, prepared).hash(state);
                hash_deadline(&hold.state, state);
            }
            Record::Outcome { outcome, .. } => {
                let ending = outcome.ending.word().as_str();
                outcomes.push((outcome.id, ending, outcome.quantity, outcome.returned));
            }
            Record::Adjustment { adjustment, .. } => {
                (adjustment.id, adjustment.delta, adjustment.hold).hash(state);
            }
        }
    }
    outcomes.sort();
    outcomes.hash(state);
}

fn hash_deadline<H: Hasher>(hold: &State, state: &mut H) {
    if let State::Held { deadline_ms } = hold {
        deadline_ms.hash(state);
    }
}
