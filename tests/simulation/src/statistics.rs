//! What a run was made of.

use std::collections::BTreeMap;
use std::fmt;

use crate::action::{Action, Batch, Fault};
use crate::machine::{Answer, Effect, Reason};
use crate::order::OrderNo;
use crate::servers::mysql::Change;
use crate::world::World;

/// Counts of what happened.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Shops that were opened.
    pub shops: u64,
    /// Actions.
    pub steps: u64,
    /// Orders by what became of them.
    pub endings: BTreeMap<&'static str, u64>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Statistics {
    /// Counts an action that is about to happen.
    pub fn count(&mut self, action: &Action, world: &World) {
        self.steps += 1;
        if let Some(kind) = kind(action, world) {
            *self.faults.entry(kind).or_default() += 1;
        }
    }

    /// Counts what became of a shop's orders.
    pub fn count_endings(&mut self, world: &World) {
        for order in 0..world.orders.len() {
            let history = world.mysql.history.get(order);
            let ending = match history.map(|history| &history[..]) {
                None | Some([]) => unrecorded(order, world),
                Some([.., Change::Sold]) => "confirmed",
                Some([.., Change::Returned]) => "cancelled after the sale",
                Some([_, Change::Sold, .., Change::Refunded]) => {
                    "cancelled after the sale, and refunded"
                }
                Some([.., Change::Refunded]) => "called off, and refunded",
                Some([.., Change::CalledOff(_)]) => "called off",
                Some([.., Change::Recorded]) => "recorded",
            };
            *self.endings.entry(ending).or_default() += 1;
        }
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.shops += other.shops;
        self.steps += other.steps;
        for (kind, count) in &other.endings {
            *self.endings.entry(kind).or_default() += count;
        }
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>12} steps", self.steps)?;
        writeln!(f, "{:>12} shops", self.shops)?;
        writeln!(f, "orders:")?;
        for (kind, count) in &self.endings {
            writeln!(f, "{count:>12} {kind}")?;
        }
        writeln!(f, "faults:")?;
        for (kind, count) in &self.faults {
            writeln!(f, "{count:>12} {kind}")?;
        }
        Ok(())
    }
}

fn unrecorded(order: OrderNo, world: &World) -> &'static str {
    let told = world.books.told.get(order).into_iter().flatten();
    match told.last() {
        Some(Answer::Refused(Reason::OutOfStock)) => "refused: out of stock",
        Some(_) => "refused before it was recorded",
        None if world.orders[order].held_at_checkout => "held at checkout, never paid for",
        None => "lost with its proxy before it was recorded",
    }
}

/// What goes wrong by this action, if it does anything.
fn kind(action: &Action, world: &World) -> Option<&'static str> {
    let kind = match *action {
        Action::Crash { proxy } if !world.proxies[proxy].sagas.is_empty() => {
            "a proxy dies in the middle of its sagas"
        }
        Action::Pause {
            proxy,
            paused: true,
        } if !world.proxies[proxy].sagas.is_empty() => "a proxy stands still in the middle",
        Action::FailOver { .. } if world.redis.is_behind() => "redis fails over and loses writes",
        Action::Flush => "redis is emptied",
        Action::Buy {
            without_redis: true,
            ..
        } => "an order is taken without redis",
        Action::Relay {
            proxy,
            poisoned: true,
        } if !world.proxies[proxy].to_send.is_empty() => "kafka refuses an event",
        Action::Resolve {
            committed: false, ..
        } => "a transaction in limbo is rolled back",
        Action::Resolve { .. } => "a transaction in limbo is committed",
        Action::Arrive { message } if message < world.on_the_way.len() => {
            "a command arrives late or again"
        }
        Action::Step { proxy, saga, fault } => {
            let saga = world.proxies[proxy].sagas.get(saga)?;
            let asks = saga.effect().is_some_and(|effect| {
                let waits = world.group_commit && Batch::of(effect).is_some();
                !waits && !matches!(effect, Effect::Answer(_))
            });
            return asks.then(|| name(fault)).flatten();
        }
        Action::Write {
            proxy,
            batch,
            fault,
            ..
        } if !world.proxies[proxy].queue(batch).is_empty() => return name(fault),
        Action::TakeHold { fault, .. }
        | Action::ExtendHold { fault, .. }
        | Action::ReleaseHold { fault, .. } => return name(fault),
        _ => return None,
    };
    Some(kind)
}

fn name(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::None => None,
        Fault::Lost => Some("a call is lost"),
        Fault::ReplyLost => Some("a reply is lost"),
        Fault::Late => Some("a call is delayed, or in limbo"),
        Fault::Twice => Some("a call is doubled"),
        Fault::NotSent => Some("a call is shed or not sent"),
        Fault::Refused => Some("a call is refused, or given up"),
        Fault::Again => Some("a call is done and repeated"),
    }
}
