//! What a run was made of.

use std::collections::BTreeMap;
use std::fmt;

use crate::servers::mysql::Change;
use crate::world::{Action, Fault, World};

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
        let kind = match action {
            Action::Crash { .. } => "a proxy dies",
            Action::Pause { paused: true, .. } => "a proxy stands still",
            Action::FailOver { .. } => "redis fails over",
            Action::Flush => "redis is emptied",
            Action::Relay { poisoned: true, .. } => "kafka refuses a row",
            Action::Resolve {
                committed: false, ..
            } => "a transaction is rolled back after its reply was lost",
            Action::Arrive { message } if *message < world.on_the_way.len() => {
                "a command arrives late or again"
            }
            Action::Vanish { .. } => "a command never arrives",
            Action::Step { fault, .. }
            | Action::TakeHold { fault, .. }
            | Action::ExtendHold { fault, .. }
            | Action::ReleaseHold { fault, .. }
            | Action::DeliverChange { fault, .. }
            | Action::Reconcile { fault, .. } => match fault {
                Fault::None => return,
                Fault::Lost => "a call is lost",
                Fault::ReplyLost => "a reply is lost",
                Fault::Late => "a call is delayed, or in limbo",
                Fault::Twice => "a call is doubled",
                Fault::NotSent => "a call is shed or not sent",
                Fault::Refused => "a call is refused for good",
                Fault::Again => "a transaction is done again",
            },
            _ => return,
        };
        *self.faults.entry(kind).or_default() += 1;
    }

    /// Counts what became of a shop's orders.
    pub fn count_endings(&mut self, world: &World) {
        for order in 0..world.orders.len() {
            let history = world.mysql.history.get(order);
            let ending = match history.map(|history| &history[..]) {
                None | Some([]) => "refused before it was recorded",
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
