//! What a saga asks of Redis.

use holdfast_stock::{Command, Id, Word};

use super::saga::{Done, Saga};
use crate::action::{Fault, Message};
use crate::controls::Control;
use crate::machine::{Input, State};
use crate::order::{self, Line};
use crate::servers::mysql::Transaction;
use crate::servers::redis::{Call, Refused};
use crate::world::{HOLD_MS, TAKEN_AGAIN_MS, World};

impl World {
    pub(super) fn reserve(&mut self, saga: &Saga, fault: Fault) -> Input {
        let asked = &self.orders[saga.order];
        let call = Call::ReserveAll {
            id: asked.hold_id.clone(),
            lines: asked.lines,
            ttl_ms: HOLD_MS,
        };
        let answer = self.call_redis(call, fault);
        reserved(saga, answer)
    }

    pub(super) fn prepare(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let prepare = |id: &Id, line: Line| Command::Prepare {
            id: id.clone(),
            late: Some(line.quantity),
        };
        match self.call_line(saga, prepare, fault) {
            Some(Ok(word)) => saga.refused |= word != Word::Prepared,
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        }
        let came_of_it = if saga.refused {
            Input::Short
        } else {
            Input::Done
        };
        self.next_line(saga, came_of_it)
    }

    pub(super) fn confirm(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let sku = self.orders[saga.order].lines[saga.line].sku;
        let is_young = self.is_young(saga);
        let is_late = is_young && self.control != Some(Control::ConfirmWithoutLate);
        let confirm = |id: &Id, line: Line| Command::Confirm {
            id: id.clone(),
            quantity: None,
            late: is_late.then_some(line.quantity),
        };
        match self.call_line(saga, confirm, fault) {
            // The units are somebody else's by now.
            Some(Ok(Word::SoldOut | Word::Released)) => self.books.excuse(sku),
            // The order is too old for Redis to tell what became of its hold.
            Some(Ok(word)) if word != Word::Confirmed && !is_young => self.books.excuse(sku),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        }
        self.next_line(saga, Input::Done)
    }

    pub(super) fn release(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let release = |id: &Id, _: Line| Command::Release { id: id.clone() };
        match self.call_line(saga, release, fault) {
            Some(Ok(_) | Err(Refused::NoSuchStock)) => self.next_line(saga, Input::Done),
            Some(Err(Refused::Misuse(_))) | None => Done::With(Input::Unclear),
        }
    }

    fn next_line(&self, saga: &Saga, came_of_it: Input) -> Done {
        if saga.line + 1 < self.orders[saga.order].lines.len() {
            Done::MoreLines
        } else {
            Done::With(came_of_it)
        }
    }

    /// One line's command. All lines leave at once, so when one of them has no answer, those whose
    /// answers nobody waits for any more are on their way.
    pub(super) fn call_line(
        &mut self,
        saga: &Saga,
        command: impl Fn(&Id, Line) -> Command,
        fault: Fault,
    ) -> Option<Result<Word, Refused>> {
        let asked = &self.orders[saga.order];
        let (id, lines) = (asked.hold_id.clone(), asked.lines);
        let call = |line: &Line| Call::One(line.sku, command(&id, *line));
        let answer = self.call_redis(call(&lines[saga.line]), fault);
        if !matches!(answer, Some(Ok(_))) {
            let sent_ms = self.now_ms;
            let others = lines[saga.line + 1..].iter().map(call);
            let others = others.map(|call| (sent_ms, Message::Redis(call)));
            self.on_the_way.extend(others);
        }
        answer
    }

    fn is_young(&self, saga: &Saga) -> bool {
        self.now_ms < saga.created_ms + TAKEN_AGAIN_MS
    }

    /// Units come back under one id, whether or not Redis still knows who had them.
    pub(super) fn give_back(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let asked = &self.orders[saga.order];
        let Some(&line) = asked.lines.get(saga.line) else {
            return self.transact(Transaction::AcknowledgeReturn(saga.order), fault);
        };
        let id = asked.hold_id.clone();
        let answer = match self.control {
            Some(Control::ReturnWithoutId) => {
                let return_id = order::id(&format!("return-{}-{}", saga.order, saga.number));
                self.call_redis(put_back(return_id, line), fault)
            }
            _ => {
                let give_back = Command::Return {
                    id: id.clone(),
                    return_id: asked.return_id.clone(),
                    quantity: line.quantity,
                };
                self.call_redis(Call::One(line.sku, give_back), fault)
            }
        };
        let otherwise = match answer {
            Some(Ok(Word::UnknownHold)) => {
                self.books.excuse(line.sku);
                // It was sold here once, and is forgotten.
                let return_id = self.orders[saga.order].return_id.clone();
                (!self.is_young(saga)).then(|| put_back(return_id, line))
            }
            // It could not be sold here, so that the units were never taken off.
            Some(Ok(Word::Reserved | Word::Prepared)) => {
                Some(Call::One(line.sku, Command::Release { id }))
            }
            Some(Ok(_)) => None,
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        };
        match otherwise.map(|call| self.call_redis(call, fault)) {
            Some(None | Some(Err(_))) => Done::With(Input::Unclear),
            Some(Some(Ok(_))) | None => Done::MoreLines,
        }
    }

    /// Sends a command to Redis; `None` when its answer does not arrive.
    pub fn call_redis(&mut self, call: Call, fault: Fault) -> Option<Result<Word, Refused>> {
        match fault {
            Fault::Lost | Fault::NotSent | Fault::Refused => None,
            Fault::ReplyLost | Fault::Again => {
                let _unheard = self.on_redis(&call);
                None
            }
            Fault::Late => {
                self.on_the_way.push((self.now_ms, Message::Redis(call)));
                None
            }
            Fault::Twice => {
                let answer = self.on_redis(&call);
                self.on_the_way.push((self.now_ms, Message::Redis(call)));
                Some(answer)
            }
            Fault::None => Some(self.on_redis(&call)),
        }
    }
}

/// What an answer to a hold is for the machine.
pub(super) fn reserved(saga: &Saga, answer: Option<Result<Word, Refused>>) -> Input {
    match answer {
        None | Some(Err(Refused::Misuse(_))) => Input::Unclear,
        Some(Err(Refused::NoSuchStock)) => Input::Short,
        Some(Ok(Word::Reserved)) => Input::Done,
        Some(Ok(Word::Confirmed)) => Input::OrderExists,
        Some(Ok(Word::Expired)) if saga.state == State::Claiming => Input::Lapsed,
        Some(Ok(_)) => Input::Short,
    }
}

fn put_back(return_id: Id, line: Line) -> Call {
    let adjust = Command::Adjust {
        delta: line.quantity as i64,
        id: Some(return_id),
        only_if: None,
        force: false,
    };
    Call::One(line.sku, adjust)
}
