//! Does what the machine says, and tells it what came of it. Each saga is a task of its own, so
//! that a client who disconnects changes nothing.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::machine::{self, Answer, Effect, Input, Step};
use crate::config::{Holds, Recovery};
use crate::events::refusals::Refusals;
use crate::gateway::Gateway;
use crate::gateway::inventory::{Outcome, Word};
use crate::orders::{Order, Reason};
use crate::payment::{Payment, Provider, Standing};
use crate::store::Store;
use crate::store::committer::{Committed, IdempotencyKey, Recorded};
use crate::store::orders::Aborted;

/// Runs sagas. One for the whole process.
pub struct Runner {
    /// Where units are held.
    pub gateway: Gateway,
    /// Where orders are decided.
    pub store: Store,
    /// Where money comes from.
    pub provider: Box<dyn Provider>,
    /// Where refusals are told.
    pub refusals: Refusals,
    /// How long units are held.
    pub holds: Holds,
    /// How long a saga belongs to this process.
    pub recovery: Recovery,
    tasks: TaskTracker,
}

/// An order to be bought.
#[derive(Debug)]
pub struct Purchase {
    /// The order, PENDING.
    pub order: Order,
    /// What the buyer pays with. Never stored.
    pub card: String,
    /// What makes the request recognisable when it comes again.
    pub key: Option<IdempotencyKey>,
    /// True when the units were held at checkout, under the order's id.
    pub is_held: bool,
}

/// How it ended, for whoever asked.
#[derive(Debug)]
pub struct Ending {
    /// What became of the order.
    pub answer: Answer,
    /// For an order refused for stock: what Redis said of each line, in the order's order.
    pub refused_lines: Vec<Outcome>,
}

/// What one saga carries from effect to effect.
struct Saga {
    id: Uuid,
    order: Order,
    card: Option<String>,
    key: Option<IdempotencyKey>,
    lines: Vec<Outcome>,
    payment_id: String,
    refunded: bool,
    listener: Option<oneshot::Sender<Ending>>,
}

impl Runner {
    /// A runner without sagas.
    pub fn new(
        gateway: Gateway,
        store: Store,
        provider: Box<dyn Provider>,
        refusals: Refusals,
        holds: Holds,
        recovery: Recovery,
    ) -> Self {
        Self {
            gateway,
            store,
            provider,
            refusals,
            holds,
            recovery,
            tasks: TaskTracker::new(),
        }
    }

    /// Buys. The saga runs on when the receiver is dropped.
    pub fn buy(self: &Arc<Self>, purchase: Purchase) -> oneshot::Receiver<Ending> {
        let (listener, ending) = oneshot::channel();
        let first = if purchase.is_held {
            machine::begin_with_hold()
        } else {
            machine::begin()
        };
        let saga = Saga {
            id: Uuid::now_v7(),
            order: purchase.order,
            card: Some(purchase.card),
            key: purchase.key,
            lines: Vec::new(),
            payment_id: String::new(),
            refunded: false,
            listener: Some(listener),
        };
        let runner = self.clone();
        self.tasks
            .spawn(async move { runner.drive(saga, first).await });
        ending
    }

    /// Takes up an order that was left, and runs it as far as it goes.
    pub async fn resume(&self, order: Order, committed: bool) {
        let saga = Saga {
            id: Uuid::now_v7(),
            order,
            card: None,
            key: None,
            lines: Vec::new(),
            payment_id: String::new(),
            refunded: false,
            listener: None,
        };
        self.drive(saga, machine::resume(committed)).await;
    }

    /// Waits until every saga of this process has ended, at most `limit`. What is cut off is
    /// finished by recovery.
    pub async fn drain(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                sagas = self.tasks.len(),
                "sagas were cut off; recovery finishes them"
            );
        }
    }

    async fn drive(&self, mut saga: Saga, first: Step) {
        let mut step = first;
        loop {
            let mut input = Input::Done;
            for effect in &step.effects {
                input = self.perform(&mut saga, *effect).await;
            }
            if step.state.is_at_rest() {
                return;
            }
            step = machine::next(step.state, input);
        }
    }

    async fn perform(&self, saga: &mut Saga, effect: Effect) -> Input {
        match effect {
            Effect::Reserve => self.reserve(saga).await,
            Effect::Record => self.record(saga).await,
            Effect::Prepare => self.prepare(saga).await,
            Effect::Pay => self.pay(saga).await,
            Effect::Ask { question } => self.ask(saga, question).await,
            Effect::Commit => self.commit(saga).await,
            Effect::Confirm => self.confirm(saga).await,
            Effect::Refund => self.refund(saga).await,
            Effect::Abort(reason) => self.abort(saga, reason).await,
            Effect::Release => self.release(saga).await,
            Effect::Settle => self.settle(saga).await,
            Effect::Answer(answer) => self.answer(saga, answer),
        }
    }

    async fn reserve(&self, saga: &mut Saga) -> Input {
        let holds = saga.order.holds();
        let reserved = self
            .gateway
            .reserve_all(saga.order.id, &holds, self.holds.ttl_ms)
            .await;
        let reservation = match reserved {
            Ok(reservation) => reservation,
            Err(error) => return unclear(saga.order.id, "reserve", error),
        };
        saga.lines = reservation.lines;
        match reservation.word {
            Word::Reserved => Input::Done,
            // Only a checkout hold can be sold already: by a confirmation that was faster.
            Word::Confirmed => Input::OrderExists,
            _ => Input::Short,
        }
    }

    async fn record(&self, saga: &Saga) -> Input {
        let lease_ms = self.recovery.lease_ms;
        match self
            .store
            .record_order(
                &saga.order,
                saga.id,
                saga.key.as_ref(),
                &saga.lines,
                lease_ms,
            )
            .await
        {
            Ok(Recorded::Recorded) => Input::Done,
            Ok(Recorded::KeyTaken) => Input::KeyTaken,
            Ok(Recorded::OrderExists) => Input::OrderExists,
            Err(error) => unclear(saga.order.id, "record", error),
        }
    }

    async fn prepare(&self, saga: &Saga) -> Input {
        match self
            .gateway
            .prepare_all(saga.order.id, &saga.order.holds())
            .await
        {
            Ok(lines) if lines.iter().all(|line| line.word == Word::Prepared) => Input::Done,
            Ok(_) => Input::Short,
            Err(error) => unclear(saga.order.id, "prepare", error),
        }
    }

    async fn pay(&self, saga: &mut Saga) -> Input {
        let Order {
            id,
            total_minor,
            ref currency,
            ..
        } = saga.order;
        let card = saga.card.as_deref().unwrap_or_default();
        let payment = Payment {
            order_id: id,
            amount_minor: total_minor,
            currency,
            card,
        };
        let standing = self.provider.authorise(payment).await;
        self.capture(saga, standing).await
    }

    async fn ask(&self, saga: &mut Saga, question: u8) -> Input {
        // Twice as long before each question: 100, 200, 400, 800 ms.
        tokio::time::sleep(Duration::from_millis(50 << question.min(6))).await;
        let standing = self.provider.standing(saga.order.id).await;
        self.capture(saga, standing).await
    }

    /// Takes the money if the provider has set it aside.
    async fn capture(
        &self,
        saga: &mut Saga,
        standing: Result<Standing, crate::payment::Error>,
    ) -> Input {
        let standing = match standing {
            Ok(Standing::Authorised { .. }) => self.provider.capture(saga.order.id).await,
            other => other,
        };
        saga.take_standing(standing)
    }

    async fn commit(&self, saga: &Saga) -> Input {
        match self.store.commit_order(&saga.order, &saga.payment_id).await {
            Ok(Committed::Committed) => Input::Done,
            Ok(Committed::AbortedBefore) => Input::LostRace,
            Ok(Committed::StockRefused(sku)) => {
                // Redis promised what MySQL does not have; the reconciler's business.
                tracing::error!(order = %saga.order.id, %sku, "the stock guard refused a held order");
                Input::StockRefused
            }
            Err(error) => unclear(saga.order.id, "commit", error),
        }
    }

    async fn confirm(&self, saga: &Saga) -> Input {
        let late = saga.order.may_be_taken_again(OffsetDateTime::now_utc());
        let holds = saga.order.holds();
        match self.gateway.confirm_all(saga.order.id, &holds, late).await {
            Ok(lines) => {
                for (line, outcome) in saga.order.lines.iter().zip(&lines) {
                    if outcome.word != Word::Confirmed {
                        // The sale stands in MySQL; Redis counts otherwise until reconciled.
                        let word = outcome.word;
                        tracing::error!(order = %saga.order.id, sku = %line.sku, ?word, "a sale was not confirmed");
                    }
                }
                Input::Done
            }
            Err(error) => unclear(saga.order.id, "confirm", error),
        }
    }

    async fn refund(&self, saga: &mut Saga) -> Input {
        match self.provider.refund(saga.order.id).await {
            Ok(Standing::Refunded) => {
                saga.refunded = true;
                Input::Done
            }
            Ok(Standing::NeverPaid) => Input::Done,
            Ok(standing) => unclear(saga.order.id, "refund", format!("it stands {standing:?}")),
            Err(error) => unclear(saga.order.id, "refund", error),
        }
    }

    async fn abort(&self, saga: &Saga, reason: Reason) -> Input {
        match self
            .store
            .abort_order(&saga.order, reason, saga.refunded)
            .await
        {
            Ok(Aborted::Aborted) => Input::Done,
            Ok(Aborted::CommittedBefore) => Input::LostRace,
            Err(error) => unclear(saga.order.id, "abort", error),
        }
    }

    async fn release(&self, saga: &Saga) -> Input {
        match self
            .gateway
            .release_all(saga.order.id, &saga.order.holds())
            .await
        {
            Ok(_) => Input::Done,
            Err(error) => unclear(saga.order.id, "release", error),
        }
    }

    async fn settle(&self, saga: &Saga) -> Input {
        match self.store.settle_order(saga.order.id).await {
            Ok(()) => Input::Done,
            Err(error) => unclear(saga.order.id, "settle", error),
        }
    }

    fn answer(&self, saga: &mut Saga, answer: Answer) -> Input {
        // The end of a hold is no refusal for stock: the order may have been told of before.
        let is_short = saga.lines.iter().any(|line| line.word == Word::OutOfStock);
        if answer == Answer::Refused(Reason::OutOfStock) && is_short {
            self.refusals.tell(&saga.order, &saga.lines);
        }
        if let Some(listener) = saga.listener.take() {
            // A failed send only means that the client has gone.
            let _gone = listener.send(Ending {
                answer,
                refused_lines: std::mem::take(&mut saga.lines),
            });
        }
        Input::Done
    }
}

impl Saga {
    fn take_standing(&mut self, standing: Result<Standing, crate::payment::Error>) -> Input {
        match standing {
            Ok(Standing::Captured { payment_id }) => {
                self.payment_id = payment_id;
                Input::Captured
            }
            Ok(Standing::Authorised { .. }) => Input::StillPending,
            Ok(Standing::Declined) => Input::Declined,
            Ok(Standing::Refunded) => {
                self.refunded = true;
                Input::Refunded
            }
            Ok(Standing::Pending) => Input::StillPending,
            Ok(Standing::NeverPaid) => Input::NeverPaid,
            Err(error) => unclear(self.order.id, "payment", error),
        }
    }
}

fn unclear(order: Uuid, step: &str, error: impl std::fmt::Display) -> Input {
    tracing::warn!(%order, step, %error, "a step of a saga is unclear");
    Input::Unclear
}
