//! The modelled tables: orders at any step of theirs, and the changes of the stock.

use holdfast_stock::{Command, Until, Word};
use uuid::Uuid;

use super::redis::{named, prepare, text};
use super::{HOLD_MS, TAKEN_AGAIN_MS, World};
use crate::reconcile::decision::Outcome;

/// How far an order's saga is; each names what it does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Record,
    Prepare,
    Commit,
    Confirm,
    Return,
    Release,
    Settle,
    Over,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) quantity: i64,
    pub(super) created_ms: u64,
    pub(super) stage: Stage,
    pub(super) is_recorded: bool,
    pub(super) outcome: Option<Outcome>,
    pub(super) is_settled: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) id: String,
    pub(super) delta: i64,
    pub(super) order: Option<Uuid>,
    pub(super) is_acknowledged: bool,
}

impl World {
    pub(super) fn begin(&mut self, quantity: i64) {
        let id = Uuid::from_u128(1 + self.orders.len() as u128);
        let reserved = self.tell(Command::Reserve {
            id: named(id),
            quantity: quantity as u64,
            until: Until::In(HOLD_MS),
        });
        let stage = match reserved {
            Some(Word::Reserved) => Stage::Record,
            _ => Stage::Over,
        };
        let order = Order {
            quantity,
            created_ms: self.now_ms,
            stage,
            is_recorded: false,
            outcome: None,
            is_settled: true,
        };
        self.orders.insert(id, order);
    }

    pub(super) fn advance(&mut self, id: Uuid) {
        let Some(mut order) = self.orders.remove(&id) else {
            return;
        };
        order.stage = match order.stage {
            Stage::Record => {
                (order.is_recorded, order.is_settled) = (true, false);
                Stage::Prepare
            }
            Stage::Prepare => match self.tell(prepare(id, order.quantity)) {
                Some(Word::Prepared) => Stage::Commit,
                _ => order.abort(),
            },
            Stage::Commit if order.outcome.is_some() => Stage::Release,
            Stage::Commit if self.stock >= order.quantity => {
                order.outcome = Some(Outcome::Committed);
                self.stock -= order.quantity;
                Stage::Confirm
            }
            Stage::Commit => order.abort(),
            Stage::Confirm => match self.tell(self.confirm(id, &order)) {
                None => Stage::Confirm,
                Some(_) if self.return_of(&id).is_some() => Stage::Return,
                Some(_) => Stage::Settle,
            },
            Stage::Return => self.give_back(id, &order),
            Stage::Release => {
                self.tell(Command::Release { id: named(id) });
                Stage::Settle
            }
            Stage::Settle => {
                order.is_settled = true;
                Stage::Over
            }
            Stage::Over => Stage::Over,
        };
        self.orders.insert(id, order);
    }

    pub(super) fn undo(&mut self, id: Uuid) {
        let Some(mut order) = self.orders.remove(&id) else {
            return;
        };
        match order.stage {
            Stage::Record | Stage::Prepare | Stage::Commit => order.stage = order.abort(),
            Stage::Confirm | Stage::Settle | Stage::Over
                if order.is_sold() && self.return_of(&id).is_none() =>
            {
                self.change(format!("return-{id}"), order.quantity, Some(id));
                order.stage = Stage::Confirm;
                order.is_settled = false;
            }
            _ => {}
        }
        self.orders.insert(id, order);
    }

    /// INV.RETURN, or where the sale is forgotten INV.ADJUST under the same id.
    pub(super) fn give_back(&mut self, id: Uuid, order: &Order) -> Stage {
        let Some(number) = self
            .changes
            .iter()
            .position(|change| change.order == Some(id))
        else {
            return Stage::Settle;
        };
        if self.changes[number].is_acknowledged {
            return Stage::Settle;
        }
        let returned = self.tell(Command::Return {
            id: named(id),
            return_id: text(&self.changes[number].id),
            quantity: order.quantity as u64,
        });
        match returned {
            Some(Word::Returned) => {
                self.redis.applied.insert(self.changes[number].id.clone());
            }
            // Not sold, so nothing comes back: as if it had been told of both.
            Some(Word::Released | Word::UnknownHold | Word::Expired) => self.deliver(number),
            _ => return Stage::Confirm,
        }
        self.changes[number].is_acknowledged =
            self.redis.applied.contains(&self.changes[number].id);
        if self.changes[number].is_acknowledged {
            Stage::Settle
        } else {
            Stage::Return
        }
    }

    pub(super) fn change(&mut self, id: String, delta: i64, order: Option<Uuid>) {
        self.stock += delta;
        self.changes.push(Logged {
            id,
            delta,
            order,
            is_acknowledged: false,
        });
    }

    pub(super) fn deliver(&mut self, number: usize) {
        let Logged { id, delta, .. } = self.changes[number].clone();
        let told = self.tell(Command::Adjust {
            delta,
            id: Some(text(&id)),
            only_if: None,
            force: false,
        });
        if told == Some(Word::Ok) {
            self.redis.applied.insert(id);
        }
    }

    pub(super) fn acknowledge(&mut self, number: usize) {
        let change = &mut self.changes[number];
        change.is_acknowledged |= self.redis.applied.contains(&change.id);
    }

    pub(super) fn confirm(&self, id: Uuid, order: &Order) -> Command {
        let late = self.now_ms - order.created_ms < TAKEN_AGAIN_MS;
        Command::Confirm {
            id: named(id),
            quantity: None,
            late: late.then_some(order.quantity as u64),
        }
    }

    pub(super) fn return_of(&self, order: &Uuid) -> Option<&Logged> {
        self.changes
            .iter()
            .find(|change| change.order == Some(*order))
    }

    pub(super) fn with_order(&mut self, number: usize, act: fn(&mut Self, Uuid)) {
        let busy = self
            .orders
            .iter()
            .filter(|(_, order)| order.stage != Stage::Over || order.is_sold());
        let busy: Vec<Uuid> = busy.map(|(id, _)| *id).collect();
        if let Some(order) = busy.get(number % busy.len().max(1)) {
            act(self, *order);
        }
    }

    pub(super) fn with_change(&mut self, number: usize, act: fn(&mut Self, usize)) {
        // What comes back with an order is its saga's to tell.
        let own = (0..self.changes.len()).filter(|at| self.changes[*at].order.is_none());
        let own: Vec<usize> = own.collect();
        if let Some(at) = own.get(number % own.len().max(1)) {
            act(self, *at);
        }
    }
}

impl Order {
    pub(super) fn is_sold(&self) -> bool {
        self.outcome == Some(Outcome::Committed)
    }

    pub(super) fn abort(&mut self) -> Stage {
        self.outcome = Some(Outcome::Aborted);
        Stage::Release
    }
}
