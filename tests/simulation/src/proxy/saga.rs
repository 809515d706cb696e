//! A saga on its proxy: does what the machine says, call by call, as `saga/runner.rs` does, and
//! tells it what came of it.

use std::hash::{Hash, Hasher};

use holdfast_stock::{Command, Word};

use crate::controls::{self, Control};
use crate::machine::{Answer, Effect, Input, State, Step};
use crate::order::{Card, OrderNo};
use crate::servers::mysql::{self, Reply, Transaction};
use crate::servers::provider::{Request, Standing};
use crate::servers::redis::{Call, Refused};
use crate::world::{Batch, Fault, HOLD_MS, LEASE_MS, Message, TAKEN_AGAIN_MS, World};

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
    line: usize,
    /// A line of the present effect was refused.
    refused: bool,
    /// What the batch came to in which this saga waits.
    pub answer: Option<Input>,
    /// It waits for a batch.
    waits: bool,
    card: Option<Card>,
    created_ms: u64,
}

/// The number matters to those that record; each of the others is like any other.
impl Hash for Saga {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let number = self.card.map(|_| self.number);
        (number, self.order, self.state, &self.effects).hash(state);
        (self.line, self.refused, self.card, self.created_ms).hash(state);
        (self.answer, self.waits).hash(state);
    }
}

/// What came of one call.
enum Done {
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
            state: first.state,
            effects: first.effects,
            line: 0,
            refused: false,
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

    /// The transaction that writes a saga's order down.
    pub fn recording(&self, saga: &Saga) -> Transaction {
        Transaction::Record {
            order: saga.order,
            saga: saga.number,
            key: self.orders[saga.order].key,
            lines: self.orders[saga.order].lines,
            created_ms: saga.created_ms,
            lease_until_ms: self.now_ms + LEASE_MS,
        }
    }

    fn perform(&mut self, saga: &mut Saga, effect: Effect, fault: Fault) -> Done {
        let order = saga.order;
        match effect {
            Effect::Reserve => Done::With(self.reserve(saga, fault)),
            Effect::Record => self.transact(self.recording(saga), fault),
            Effect::Prepare => self.prepare(saga, fault),
            Effect::Authorise => Done::With(match saga.card {
                None => Input::NoCard,
                Some(card) => self.authorise(Request::Authorise(order, card), fault),
            }),
            Effect::Capture => Done::With(self.capture(order, fault)),
            Effect::Ask { .. } => Done::With(match fault {
                Fault::None | Fault::Twice => standing(self.provider.standing(order)),
                _ => Input::Unclear,
            }),
            Effect::Commit => {
                self.transact(Transaction::Commit(order, self.orders[order].lines), fault)
            }
            Effect::Confirm => self.confirm(saga, fault),
            Effect::Abort(reason) => self.transact(Transaction::Abort(order, reason), fault),
            Effect::Release => self.release(saga, fault),
            Effect::Cancel => {
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

    fn reserve(&mut self, saga: &Saga, fault: Fault) -> Input {
        let asked = &self.orders[saga.order];
        let call = Call::ReserveAll {
            id: asked.hold_id.clone(),
            lines: asked.lines,
            ttl_ms: HOLD_MS,
        };
        match self.call_redis(call, fault) {
            None | Some(Err(Refused::Misuse(_))) => Input::Unclear,
            Some(Err(Refused::NoSuchStock)) => Input::Short,
            Some(Ok(Word::Reserved)) => Input::Done,
            Some(Ok(Word::Confirmed)) => Input::OrderExists,
            Some(Ok(Word::Expired)) if saga.state == State::Claiming => Input::Lapsed,
            Some(Ok(_)) => Input::Short,
        }
    }

    fn prepare(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let asked = &self.orders[saga.order];
        let line = asked.lines[saga.line];
        let prepare = Command::Prepare {
            id: asked.hold_id.clone(),
            late: Some(line.quantity),
        };
        match self.call_redis(Call::One(line.sku, prepare), fault) {
            Some(Ok(word)) => saga.refused |= word != Word::Prepared,
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        }
        if saga.line + 1 < self.orders[saga.order].lines.len() {
            return Done::MoreLines;
        }
        Done::With(if saga.refused {
            Input::Short
        } else {
            Input::Done
        })
    }

    fn confirm(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let asked = &self.orders[saga.order];
        let line = asked.lines[saga.line];
        let is_young = self.now_ms < saga.created_ms + TAKEN_AGAIN_MS;
        let is_late = is_young && self.control != Some(Control::ConfirmWithoutLate);
        let confirm = Command::Confirm {
            id: asked.hold_id.clone(),
            quantity: None,
            late: is_late.then_some(line.quantity),
        };
        match self.call_redis(Call::One(line.sku, confirm), fault) {
            Some(Ok(Word::Confirmed)) => {}
            // The units are somebody else's by now, or the order is too old to tell.
            Some(Ok(Word::SoldOut | Word::Released)) => self.books.excuse(line.sku),
            Some(Ok(_)) if !is_young => self.books.excuse(line.sku),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        }
        if saga.line + 1 < self.orders[saga.order].lines.len() {
            return Done::MoreLines;
        }
        Done::With(Input::Done)
    }

    fn release(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let asked = &self.orders[saga.order];
        let line = asked.lines[saga.line];
        let release = Command::Release {
            id: asked.hold_id.clone(),
        };
        match self.call_redis(Call::One(line.sku, release), fault) {
            Some(Ok(_) | Err(Refused::NoSuchStock)) => {}
            Some(Err(Refused::Misuse(_))) | None => return Done::With(Input::Unclear),
        }
        if saga.line + 1 < self.orders[saga.order].lines.len() {
            return Done::MoreLines;
        }
        Done::With(Input::Done)
    }

    /// Units come back under one id, whether or not Redis still knows who had them.
    fn give_back(&mut self, saga: &mut Saga, fault: Fault) -> Done {
        let asked = &self.orders[saga.order];
        let Some(&line) = asked.lines.get(saga.line) else {
            return self.transact(Transaction::AcknowledgeReturn(saga.order), fault);
        };
        let return_id = match self.control {
            Some(Control::ReturnWithoutId) => {
                crate::order::id(&format!("return-{}-{}", saga.order, saga.number))
            }
            _ => asked.return_id.clone(),
        };
        let give_back = match self.control {
            Some(Control::ReturnWithoutId) => Command::Adjust {
                delta: line.quantity as i64,
                id: Some(return_id.clone()),
                only_if: None,
                force: false,
            },
            _ => Command::Return {
                id: asked.hold_id.clone(),
                return_id: return_id.clone(),
                quantity: line.quantity,
            },
        };
        match self.call_redis(Call::One(line.sku, give_back), fault) {
            Some(Ok(Word::UnknownHold)) => {
                let adjust = Command::Adjust {
                    delta: line.quantity as i64,
                    id: Some(return_id),
                    only_if: None,
                    force: false,
                };
                self.books.excuse(line.sku);
                let is_young = self.now_ms < saga.created_ms + TAKEN_AGAIN_MS;
                let adjusted = is_young
                    || matches!(
                        self.call_redis(Call::One(line.sku, adjust), fault),
                        Some(Ok(_))
                    );
                if !adjusted {
                    return Done::With(Input::Unclear);
                }
            }
            Some(Ok(Word::Returned | Word::Ok)) => {}
            // It could not be sold here, so that the units were never taken off.
            Some(Ok(Word::Reserved | Word::Prepared)) => {
                let release = Command::Release {
                    id: self.orders[saga.order].hold_id.clone(),
                };
                if self
                    .call_redis(Call::One(line.sku, release), fault)
                    .is_none()
                {
                    return Done::With(Input::Unclear);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Done::With(Input::Unclear),
        }
        Done::MoreLines
    }

    fn authorise(&mut self, request: Request, fault: Fault) -> Input {
        match (self.call_provider(request, fault), fault) {
            (None, Fault::NotSent | Fault::Refused) => Input::Refused,
            (None | Some(Standing::NeverPaid), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    fn capture(&mut self, order: OrderNo, fault: Fault) -> Input {
        match (self.call_provider(Request::Capture(order), fault), fault) {
            (None, Fault::Refused) => Input::Refused,
            // Nothing of it can be taken, so something else became of it: that is asked for.
            (None | Some(Standing::NeverPaid | Standing::Authorised), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    fn refund(&mut self, order: OrderNo, fault: Fault) -> Input {
        match (self.call_provider(Request::Refund(order), fault), fault) {
            (None, Fault::Refused) => Input::Refused,
            (Some(Standing::NeverPaid | Standing::Declined), _) => Input::Done,
            (None | Some(Standing::Authorised | Standing::Captured), _) => Input::Unclear,
            (Some(stands), _) => standing(stands),
        }
    }

    /// Asks the provider; `None` when its answer does not arrive.
    fn call_provider(&mut self, request: Request, fault: Fault) -> Option<Standing> {
        match fault {
            Fault::Lost | Fault::NotSent | Fault::Refused => None,
            Fault::ReplyLost | Fault::Again => {
                self.on_provider(request);
                None
            }
            Fault::Late => {
                self.on_the_way
                    .push((self.now_ms, Message::Provider(request)));
                None
            }
            Fault::Twice => {
                let answer = self.on_provider(request);
                self.on_the_way
                    .push((self.now_ms, Message::Provider(request)));
                Some(answer)
            }
            Fault::None => Some(self.on_provider(request)),
        }
    }

    /// A transaction of a saga.
    fn transact(&mut self, transaction: Transaction, fault: Fault) -> Done {
        if self.mysql.is_blocked(&transaction) {
            return Done::Blocked;
        }
        let repeats = matches!(
            transaction,
            Transaction::Record { .. } | Transaction::Commit(..)
        );
        let input = match fault {
            Fault::None | Fault::Twice | Fault::Refused => self.execute(&transaction),
            Fault::Again if repeats => {
                self.execute(&transaction);
                return Done::Blocked;
            }
            Fault::ReplyLost | Fault::Again => {
                self.execute(&transaction);
                Input::Unclear
            }
            Fault::NotSent if matches!(transaction, Transaction::Record { .. }) => Input::Shed,
            Fault::Lost | Fault::NotSent => Input::Unclear,
            Fault::Late => {
                self.mysql.limbo.push(transaction);
                Input::Unclear
            }
        };
        Done::With(input)
    }

    fn execute(&mut self, transaction: &Transaction) -> Input {
        let reply = self.on_mysql(transaction);
        self.input(transaction, reply)
    }

    /// A batch, and what each of its sagas is told.
    pub fn execute_all(&mut self, batch: &[Transaction]) -> Vec<Input> {
        let replies = self.on_mysql_all(batch);
        let told = batch.iter().zip(replies);
        told.map(|(transaction, reply)| self.input(transaction, reply))
            .collect()
    }

    fn input(&mut self, transaction: &Transaction, reply: Reply) -> Input {
        if let (
            Transaction::Commit(order, _),
            Reply::Done,
            Some(Control::EventOutsideTransaction),
        ) = (transaction, reply, self.control)
        {
            // It goes the way of a second transaction, which may come to nothing.
            self.mysql
                .limbo
                .push(Transaction::Tell(*order, mysql::SOLD));
        }
        match reply {
            Reply::Done => Input::Done,
            Reply::KeyTaken => Input::KeyTaken,
            Reply::OrderExists => Input::OrderExists,
            Reply::StockRefused => {
                if let Transaction::Commit(order, _) = transaction {
                    self.check_promise(*order);
                }
                Input::StockRefused
            }
            Reply::LostRace => Input::LostRace,
            Reply::TooLate => Input::TooLate,
        }
    }

    fn postpone(&mut self, order: OrderNo) {
        let now_ms = self.now_ms;
        if self.mysql.is_locked(order) {
            return;
        }
        if let Some(Some(row)) = self.mysql.orders.get_mut(order) {
            row.lease_until_ms = now_ms + (1_000 << row.attempts.min(6)).min(60_000);
        }
    }

    /// Sends a command to Redis; `None` when its answer does not arrive.
    pub fn call_redis(&mut self, call: Call, fault: Fault) -> Option<Result<Word, Refused>> {
        match fault {
            Fault::Lost | Fault::NotSent | Fault::Refused => None,
            Fault::ReplyLost | Fault::Again => {
                self.on_redis(&call).ok();
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

    fn answer(&mut self, order: OrderNo, answer: Answer) {
        self.check_answer(order, answer);
        self.books.tell(order, answer);
    }
}

fn standing(standing: Standing) -> Input {
    match standing {
        Standing::Authorised => Input::Authorised,
        Standing::Captured => Input::Captured,
        Standing::Declined => Input::Declined,
        Standing::Pending => Input::StillPending,
        Standing::Refunded => Input::Refunded,
        Standing::NeverPaid => Input::NeverPaid,
    }
}
