//! A saga on its proxy: does what the machine says, call by call, as `saga/runner.rs` does, and
//! tells it what came of it.

use std::hash::{Hash, Hasher};

use super::money;
use crate::action::{Batch, Fault};
use crate::controls;
use crate::machine::{Answer, Effect, Input, Origin, State, Step};
use crate::order::{Card, OrderNo};
use crate::servers::mysql::Transaction;
use crate::servers::provider::Request;
use crate::servers::redis::Call;
use crate::world::{LEASE_MS, World};

/// A running saga.
#[derive(Clone, Debug)]
pub struct Saga {
    /// Its own number, under which it records.
    pub number: u64,
    /// Its order.
    pub order: OrderNo,
    /// Where it is.
    pub state: State,
    /// What is still to be done before the machine is asked again.
    effects: Vec<Effect>,
    /// How many lines of the present effect are done.
    pub(super) line: usize,
    /// A line of the present effect was refused.
    pub(super) refused: bool,
    /// Lines that the present effect has held, to be given back if another is refused.
    pub(super) taken: Vec<usize>,
    /// The first word by which a line was refused that the present effect was to hold.
    pub(super) refusal: Option<Input>,
    /// What the batch came to in which this saga waits.
    pub answer: Option<Input>,
    /// It waits for a batch.
    waits: bool,
    card: Option<Card>,
    /// Nothing was held, because its proxy did not reach Redis.
    is_unheld: bool,
    pub(super) created_ms: u64,
}

/// The number matters to those that record; each of the others is like any other.
impl Hash for Saga {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let number = self.card.map(|_| self.number);
        (number, self.order, self.state, &self.effects).hash(state);
        (self.line, self.refused, self.card, self.created_ms).hash(state);
        (self.answer, self.waits, self.is_unheld).hash(state);
        (&self.taken, self.refusal).hash(state);
    }
}

/// What came of one call.
pub(super) enum Done {
    /// It has to wait for a lock.
    Blocked,
    /// The effect has more lines.
    MoreLines,
    /// The effect is over.
    With(Input),
}

impl Saga {
    /// A saga that is about to do its first step.
    pub fn new(
        number: u64,
        order: OrderNo,
        card: Option<Card>,
        first: Step,
        created_ms: u64,
    ) -> Self {
        Self {
            number,
            order,
            is_unheld: first.state == State::Recording(Origin::Unheld),
            state: first.state,
            effects: first.effects,
            line: 0,
            refused: false,
            taken: Vec::new(),
            refusal: None,
            answer: None,
            waits: false,
            card,
            created_ms,
        }
    }

    /// The call that comes next.
    pub fn effect(&self) -> Option<Effect> {
        self.effects.first().copied()
    }
}

impl World {
    /// One call of one saga, and what the machine makes of it.
    pub fn step(&mut self, proxy: usize, saga: usize, fault: Fault) {
        if self.proxies[proxy].is_paused || saga >= self.proxies[proxy].sagas.len() {
            return;
        }
        let mut running = self.proxies[proxy].sagas.swap_remove(saga);
        let ended = self.go_on(proxy, &mut running, fault);
        if !ended {
            let sagas = &mut self.proxies[proxy].sagas;
            sagas.push(running);
            let last = sagas.len() - 1;
            sagas.swap(saga, last);
        }
    }

    /// True when the saga has ended.
    fn go_on(&mut self, proxy: usize, saga: &mut Saga, fault: Fault) -> bool {
        let mut input = Input::Done;
        if let Some(effect) = saga.effect() {
            let done = match Batch::of(effect) {
                Some(batch) if self.group_commit => self.wait(proxy, saga, batch, fault),
                _ => self.perform(saga, effect, fault),
            };
            match done {
                Done::Blocked => return false,
                Done::MoreLines => {
                    saga.line += 1;
                    return false;
                }
                Done::With(came_of_it) => input = came_of_it,
            }
            saga.effects.remove(0);
            saga.line = 0;
            saga.refused = false;
            saga.taken.clear();
            saga.refusal = None;
            if !saga.effects.is_empty() {
                return false;
            }
        }
        if saga.state == State::Left {
            self.postpone(saga.order);
        }
        if saga.state.is_at_rest() {
            return true;
        }
        let step = controls::next(self.control, saga.state, input);
        (saga.state, saga.effects) = (step.state, step.effects);
        // A saga that is left is left by dropping its lease, which is a call of its own.
        saga.state == State::Finished && saga.effects.is_empty()
    }

    /// A saga stands in its proxy's queue until the batch is written in which its order is.
    fn wait(&mut self, proxy: usize, saga: &mut Saga, batch: Batch, fault: Fault) -> Done {
        if let Some(answer) = saga.answer.take() {
            saga.waits = false;
            return Done::With(answer);
        }
        if !saga.waits {
            if batch == Batch::Record && fault == Fault::NotSent {
                return Done::With(Input::Shed);
            }
            saga.waits = true;
            self.proxies[proxy].queue_mut(batch).push(saga.number);
        }
        Done::Blocked
    }

    fn perform(&mut self, saga: &mut Saga, effect: Effect, fault: Fault) -> Done {
        let order = saga.order;
        match effect {
            Effect::Reserve if self.is_cluster => self.reserve_each(saga, fault),
            Effect::Reserve => Done::With(self.reserve(saga, fault)),
            Effect::Record => self.transact(self.recording(saga), fault),
            Effect::Prepare => self.prepare(saga, fault),
            Effect::CheckStock => Done::With(self.check_stock_for(order, fault)),
            Effect::Authorise => Done::With(match saga.card {
                None => Input::NoCard,
                Some(card) => self.authorise(Request::Authorise(order, card), fault),
            }),
            Effect::Capture => Done::With(self.capture(order, fault)),
            Effect::Ask { .. } => Done::With(match fault {
                Fault::None | Fault::Twice => money::standing(self.provider.standing(order)),
                _ => Input::Unclear,
            }),
            Effect::Commit => {
                self.transact(Transaction::Commit(order, self.orders[order].lines), fault)
            }
            Effect::Confirm => self.confirm(saga, fault),
            Effect::EmptyCart => {
                let emptied = self.call_redis(Call::EmptyCart(order), fault);
                Done::With(emptied.map_or(Input::Unclear, |_| Input::Done))
            }
            Effect::Abort(reason) => self.transact(Transaction::Abort(order, reason), fault),
            // A proxy that still does not reach Redis leaves it to the reconciler.
            Effect::Release if saga.is_unheld && fault == Fault::NotSent => Done::With(Input::Done),
            Effect::Release => self.release(saga, fault),
            Effect::Cancel(_) => {
                self.transact(Transaction::Cancel(order, self.now_ms + LEASE_MS), fault)
            }
            Effect::Return => self.give_back(saga, fault),
            Effect::Refund => Done::With(self.refund(order, fault)),
            Effect::RecordRefund => self.transact(Transaction::RecordRefund(order), fault),
            Effect::Park => self.transact(Transaction::Park(order), fault),
            Effect::Settle(end) => self.transact(Transaction::Settle(order, end), fault),
            Effect::Answer(answer) => {
                self.answer(order, answer);
                Done::With(Input::Done)
            }
        }
    }

    fn answer(&mut self, order: OrderNo, answer: Answer) {
        self.check_answer(order, answer);
        self.books.tell(order, answer);
    }
}
