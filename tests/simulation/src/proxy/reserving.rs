//! Holding the lines of an order that lie on several nodes of a cluster: each by itself, and what was
//! taken is given back when another is refused.

use holdfast_stock::{Command, Id, Until, Word};

use super::gate::reserved;
use super::saga::{Done, Saga};
use crate::action::Fault;
use crate::controls::Control;
use crate::machine::{Input, State};
use crate::order::{Line, Lines, OrderNo};
use crate::servers::redis::Call;
use crate::world::{CHECKOUT_HOLD_MS, HOLD_MS, World};

impl World {
    /// One line after the other, as their answers come; then those that are to be given back. What
    /// was held at checkout is left to its deadline: another confirmation may be at it.
    pub(super) fn reserve_each(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let lines = self.orders[saga.order].lines;
        if saga.line >= lines.len() {
            return self.give_back_taken(saga, lines, fault);
        }
        let is_new =
            saga.state == State::Reserving || self.control == Some(Control::GiveBackClaimed);
        let answer = self.call_line(saga, |id, line| reserve(id, line, HOLD_MS), fault);
        match reserved(saga, answer) {
            Input::Unclear => return Done::With(Input::Unclear),
            Input::Done if is_new => saga.taken.push(saga.line),
            Input::Done => {}
            refusal => {
                saga.refusal.get_or_insert(refusal);
            }
        }
        let is_last = saga.line + 1 == lines.len();
        match saga.refusal {
            _ if !is_last => Done::MoreLines,
            None => Done::With(Input::Done),
            Some(refusal) if saga.taken.is_empty() => Done::With(refusal),
            Some(_) => Done::MoreLines,
        }
    }

    /// What cannot be given back ends by its deadline.
    fn give_back_taken(&mut self, saga: &mut Saga, lines: Lines, fault: Fault) -> Done {
        if let Some(place) = saga.taken.pop() {
            let id = self.orders[saga.order].hold_id.clone();
            let release = Command::Release { id };
            self.call_redis(Call::One(lines[place].sku, release), fault);
        }
        match saga.refusal {
            Some(refusal) if saga.taken.is_empty() => Done::With(refusal),
            _ => Done::MoreLines,
        }
    }

    /// At checkout. What is refused is given back by the same request, and nobody is told its id.
    pub fn take_hold_of_each(&mut self, order: OrderNo, fault: Fault) {
        let (id, lines) = (self.orders[order].hold_id.clone(), self.orders[order].lines);
        let mut taken = Vec::with_capacity(lines.len());
        let mut is_refused = false;
        for line in lines.iter() {
            let call = Call::One(line.sku, reserve(&id, *line, CHECKOUT_HOLD_MS));
            match self.call_redis(call, fault) {
                Some(Ok(Word::Reserved)) => taken.push(line.sku),
                Some(_) => is_refused = true,
                None => {}
            }
        }
        if is_refused {
            self.orders[order].held_at_checkout = false;
            for sku in taken {
                let release = Command::Release { id: id.clone() };
                self.call_redis(Call::One(sku, release), fault);
            }
        }
    }
}

fn reserve(id: &Id, line: Line, ttl_ms: u64) -> Command {
    Command::Reserve {
        id: id.clone(),
        quantity: line.quantity,
        until: Until::In(ttl_ms),
    }
}
