//! Runs sagas: has done what the machine says, and tells it what came of it. Each saga is a task
//! of its own, so that a client who disconnects changes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::leases::Leases;
use super::machine::{self, Answer, Effect, Found, Input, Reason, State, Step};
use super::recovery::pause_ms;
use super::run::Saga;
use crate::config::{Config, Holds, Recovery, WithoutRedis};
use crate::events::refusals::Refusals;
use crate::gateway::Gateway;
use crate::gateway::inventory::Outcome;
use crate::orders::{Author, Order};
use crate::payment::Provider;
use crate::reconcile::rebuilding::Rebuilder;
use crate::store::allowance::NotAllowed;
use crate::store::committer::IdempotencyKey;
use crate::store::{self, Store};
use crate::telemetry::{Metrics, metrics};

/// Runs sagas. One for the whole process.
pub struct Runner {
    /// Where units are held.
    pub gateway: Gateway,
    /// Reserves them, also where the gate has lost them.
    pub rebuilder: Rebuilder,
    /// Where orders are decided.
    pub store: Store,
    /// Where money comes from.
    pub provider: Box<dyn Provider>,
    /// Where refusals are told.
    pub refusals: Refusals,
    /// Where sagas are counted.
    pub metrics: Arc<Metrics>,
    /// How long units are held.
    pub holds: Holds,
    /// How long a saga belongs to this process.
    pub recovery: Recovery,
    /// How long a payment may take, ms.
    pub patience_ms: u64,
    /// What becomes of orders while Redis is away.
    pub without_redis: WithoutRedis,
    /// How long a sold order can be cancelled, ms.
    pub cancel_window_ms: u64,
    /// How long a cart lives, ms.
    pub cart_ttl_ms: u64,
    /// The orders that this process is at.
    pub leases: Leases,
    recovery_wake: Notify,
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
    /// For one refused because of its buyer: why.
    pub not_allowed: Option<NotAllowed>,
}

impl Runner {
    /// A runner without sagas.
    pub fn new(
        gateway: Gateway,
        rebuilder: Rebuilder,
        store: Store,
        provider: Box<dyn Provider>,
        refusals: Refusals,
        metrics: Arc<Metrics>,
        config: &Config,
    ) -> Self {
        Self {
            gateway,
            rebuilder,
            store,
            provider,
            refusals,
            metrics,
            holds: config.holds.clone(),
            recovery: config.recovery.clone(),
            patience_ms: config.payment.patience_ms,
            without_redis: config.orders.without_redis,
            cancel_window_ms: config.orders.cancel_window_ms,
            cart_ttl_ms: config.cart.ttl_ms,
            leases: Leases::default(),
            recovery_wake: Notify::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Buys, unless the provider is known to be away, or Redis is and orders are not taken without it. The saga runs on when the receiver is dropped.
    pub fn buy(self: &Arc<Self>, purchase: Purchase) -> oneshot::Receiver<Ending> {
        if self.provider.is_left_alone() {
            return refused_at_once(Reason::PaymentFailed);
        }
        let is_unheld = !self.gateway.sells_lines(&purchase.order.holds());
        if is_unheld && (purchase.is_held || self.without_redis == WithoutRedis::Refuse) {
            return refused_at_once(Reason::Unavailable);
        }
        let first = match purchase.is_held {
            true => machine::begin_with_hold(),
            false if is_unheld => machine::begin_without_redis(),
            false => machine::begin(),
        };
        let saga = Saga {
            card: Some(purchase.card),
            key: purchase.key,
            is_held: purchase.is_held,
            is_unheld,
            ..Saga::of(purchase.order)
        };
        self.start_for_listener(saga, first)
    }

    /// Cancels an order, whatever its own saga is doing, for one of the reasons that are
    /// cancellations; `canceller` is who does.
    pub fn cancel(
        self: &Arc<Self>,
        order: Order,
        reason: Reason,
        canceller: Author,
    ) -> oneshot::Receiver<Ending> {
        let saga = Saga {
            canceller: Some(canceller),
            ..Saga::of(order)
        };
        self.start_for_listener(saga, machine::begin_cancel(reason))
    }

    /// Takes up an order that was left, and keeps `place` until it comes to rest.
    pub fn resume(
        self: &Arc<Self>,
        order: Order,
        found: Found,
        attempts: u32,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let saga = Saga {
            attempts,
            ..Saga::of(order)
        };
        self.start(saga, machine::resume(found), place);
    }

    /// Has recovery look now: something has become of an order that it waits for.
    pub fn wake_recovery(&self) {
        self.recovery_wake.notify_one();
    }

    /// Waits until recovery was woken.
    pub(super) async fn recovery_wanted(&self) {
        self.recovery_wake.notified().await;
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

    fn start_for_listener(self: &Arc<Self>, saga: Saga, first: Step) -> oneshot::Receiver<Ending> {
        let (listener, ending) = oneshot::channel();
        let saga = Saga {
            listener: Some(listener),
            ..saga
        };
        self.start(saga, first, None);
        ending
    }

    fn start(self: &Arc<Self>, mut saga: Saga, first: Step, place: Option<OwnedSemaphorePermit>) {
        let runner = self.clone();
        let lease = self.leases.begin(saga.id, saga.order.id);
        self.tasks.spawn(async move {
            let state = runner.drive(&mut saga, first).await;
            drop(lease);
            if state == State::Left {
                saga.ending = metrics::Ending::Left;
                runner.postpone(&saga).await;
            }
            runner.metrics.sagas.get_or_create(&saga.ending).inc();
            drop(place);
        });
    }

    async fn drive(&self, saga: &mut Saga, first: Step) -> State {
        let mut step = first;
        loop {
            let mut input = Input::Done;
            for effect in &step.effects {
                input = match effect {
                    Effect::Answer(answer) => self.answer(saga, *answer),
                    effect => self.perform(saga, *effect).await,
                };
            }
            if step.state.is_at_rest() {
                return step.state;
            }
            if (step.state, input) == (State::Parking, Input::Done) {
                saga.ending = metrics::Ending::Parked;
            }
            step = machine::next(step.state, input);
        }
    }

    fn answer(&self, saga: &mut Saga, answer: Answer) -> Input {
        self.tell_refusal(saga, answer);
        if answer == Answer::Confirmed {
            saga.ending = metrics::Ending::Confirmed;
        }
        if let Some(listener) = saga.listener.take() {
            // A failed send only means that the client has gone.
            let _gone = listener.send(Ending {
                answer,
                refused_lines: std::mem::take(&mut saga.lines),
                not_allowed: saga.not_allowed.take(),
            });
        }
        Input::Done
    }

    async fn postpone(&self, saga: &Saga) {
        let pause_ms = pause_ms(saga.attempts);
        let postponed = self
            .store
            .answered(self.store.postpone(saga.order.id, pause_ms))
            .await;
        if let Err(error) = postponed {
            // Then it is taken up when its lease has run out.
            tracing::debug!(order = %saga.order.id, %error, "an order could not be postponed");
        }
    }
}

/// Nothing is held or written for an order that could not be held or paid.
fn refused_at_once(reason: Reason) -> oneshot::Receiver<Ending> {
    let (listener, ending) = oneshot::channel();
    // It cannot fail: the receiver is right here.
    let _sent = listener.send(Ending {
        answer: Answer::Refused(reason),
        refused_lines: Vec::new(),
        not_allowed: None,
    });
    ending
}

/// Leaves an order that cannot be read to an operator, so that it stops no other.
pub(super) async fn unreadable(runner: &Runner, order: Uuid, error: store::Error) {
    tracing::error!(%order, %error, "an order cannot be read and is parked; see 'holdfast orders parked'");
    let why = error.to_string();
    if let Err(error) = runner
        .store
        .answered(runner.store.park_order(order, &why))
        .await
    {
        tracing::warn!(%order, %error, "an order could not be parked; recovery tries again");
    }
}
