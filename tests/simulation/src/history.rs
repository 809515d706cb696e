//! What happened lately, for the report of a breach.

use std::collections::VecDeque;
use std::fmt;

use crate::action::Action;
use crate::machine::{Effect, State};
use crate::order::OrderNo;
use crate::world::World;

/// How much is kept.
const KEPT: usize = 20_000;
/// How much of it is reported, and as much again of what concerns the subject.
const REPORTED: usize = 40;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub struct Happening {
    step: u64,
    now_ms: u64,
    action: Action,
    /// For a saga's step: whose, and what it was about to do.
    saga: Option<(OrderNo, u64, State, Option<Effect>)>,
}

/// What a breach is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One order.
    Order(usize),
    /// One product.
    Sku(usize),
    /// The whole shop.
    Shop,
}

/// The last of what happened.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Happening>);

impl History {
    /// Keeps an action that is about to happen.
    pub fn keep(&mut self, step: u64, action: Action, world: &World) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        let saga = match action {
            Action::Step { proxy, saga, .. } => (world.proxies[proxy].sagas.get(saga))
                .map(|saga| (saga.order, saga.number, saga.state, saga.effect())),
            _ => None,
        };
        self.0.push_back(Happening {
            step,
            now_ms: world.now_ms,
            action,
            saga,
        });
    }

    /// Forgets it: another shop has opened.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is to be reported: the last of everything, and the last of what concerns the subject.
    pub fn report(&self, subject: Subject, world: &World) -> Vec<Happening> {
        let latest = self.0.len().saturating_sub(REPORTED);
        let concerned = self.0.iter().take(latest).rev();
        let concerned = concerned.filter(|happening| happening.concerns(subject, world));
        let mut report: Vec<Happening> = concerned.take(2 * REPORTED).copied().collect();
        report.reverse();
        report.extend(self.0.iter().skip(latest));
        report
    }
}

impl Happening {
    fn concerns(&self, subject: Subject, world: &World) -> bool {
        let order = match (self.saga, self.action) {
            (Some((order, ..)), _) => Some(order),
            (
                _,
                Action::BuyAgain { order, .. }
                | Action::ExtendHold { order, .. }
                | Action::ConfirmHold { order, .. }
                | Action::ReleaseHold { order, .. }
                | Action::Cancel { order, .. }
                | Action::Complete { order, .. }
                | Action::Webhook { order }
                | Action::RetryParked { order },
            ) => Some(order),
            _ => None,
        };
        let everybody = matches!(
            self.action,
            Action::FailOver { .. } | Action::Flush | Action::Crash { .. } | Action::Resolve { .. }
        );
        everybody
            || match (subject, order) {
                (Subject::Order(subject), Some(order)) => subject == order,
                (Subject::Sku(sku), Some(order)) => (world.orders.get(order))
                    .is_some_and(|order| order.lines.iter().any(|line| line.sku == sku)),
                (Subject::Sku(subject), None) => match self.action {
                    Action::Adjust { sku, .. } | Action::ReadLedger { sku, .. } => sku == subject,
                    Action::DeliverChange { .. } | Action::Reconcile { .. } => true,
                    _ => false,
                },
                _ => false,
            }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            now_ms,
            action,
            saga,
        } = self;
        write!(f, "{step:>9} {now_ms:>9} ms  ")?;
        match (saga, action) {
            (Some((order, number, state, effect)), Action::Step { proxy, fault, .. }) => write!(
                f,
                "proxy {proxy} order {order} saga {number}: {state:?} does {effect:?}, fault {fault:?}"
            ),
            _ => write!(f, "{action:?}"),
        }
    }
}
