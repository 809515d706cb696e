//! What the machine's effects do to the servers, and which input each result is.

use std::time::Duration;

use time::OffsetDateTime;

use super::machine::{Answer, Effect, End, Input, Reason};
use super::run::Saga;
use super::runner::Runner;
use crate::gateway::inventory::Word;
use crate::gateway::reservation::Taking;
use crate::payment::Payment;
use crate::store;
use crate::store::cancellation::Cancelled;
use crate::store::committer::{Committed, Recorded};
use crate::store::silence::LONGEST_WAIT;
use crate::store::undo::Aborted;

impl Runner {
    /// Does one effect; an answer is the runner's own. What gives no answer is unclear in the end:
    /// a saga that waited for ever would keep its order from recovery.
    pub(super) async fn perform(&self, saga: &mut Saga, effect: Effect) -> Input {
        let done = tokio::time::timeout(LONGEST_WAIT, self.attempt(saga, effect)).await;
        done.unwrap_or_else(|_| saga.unclear("wait", format!("{effect:?} has no answer")))
    }

    async fn attempt(&self, saga: &mut Saga, effect: Effect) -> Input {
        match effect {
            Effect::Reserve => self.reserve(saga).await,
            Effect::Record => self.record(saga).await,
            Effect::Prepare => self.prepare(saga).await,
            Effect::CheckStock => self.check_stock(saga).await,
            Effect::Authorise => self.authorise(saga).await,
            Effect::Capture => {
                let captured = self.provider.capture(saga.order.id).await;
                saga.after_capture(captured)
            }
            Effect::Ask { question } => self.ask(saga, question).await,
            Effect::Commit => self.commit(saga).await,
            Effect::Confirm => self.confirm(saga).await,
            Effect::EmptyCart => self.empty_cart(saga).await,
            Effect::Abort(reason) => self.abort(saga, reason).await,
            Effect::Release => self.release(saga).await,
            Effect::Cancel(reason) => self.cancel_sold(saga, reason).await,
            Effect::Return => self.take_back(saga).await,
            Effect::Refund => {
                let refunded = self.provider.refund(saga.order.id).await;
                saga.after_refund(refunded)
            }
            Effect::RecordRefund => {
                let recorded = self.store.record_refund(&saga.order);
                let recorded = self.store.answered(recorded).await;
                saga.done_or_unclear("record the refund", recorded)
            }
            Effect::Park => self.park(saga).await,
            Effect::Settle(end) => self.settle(saga, end).await,
            Effect::Answer(_) => Input::Done,
        }
    }

    /// Tells of an order that was refused for stock, which has no row in the outbox.
    pub(super) fn tell_refusal(&self, saga: &Saga, answer: Answer) {
        // The end of a hold is no refusal for stock: the order may have been told of before.
        let is_short = saga.lines.iter().any(|line| line.word == Word::OutOfStock);
        if answer == Answer::Refused(Reason::OutOfStock) && is_short {
            self.refusals.tell(&saga.order, &saga.lines);
        }
    }

    async fn reserve(&self, saga: &mut Saga) -> Input {
        let holds = saga.order.holds();
        let taking = match saga.is_held {
            true => Taking::Again,
            false => Taking::New,
        };
        let reserved = self
            .rebuilder
            .reserve_all(saga.order.id, &holds, self.holds.ttl_ms, taking)
            .await;
        let reservation = match reserved {
            Ok(reservation) => reservation,
            Err(error) => return saga.unclear_in_redis("reserve", &error),
        };
        saga.lines = reservation.lines;
        match reservation.word {
            Word::Reserved => Input::Done,
            // Only a checkout hold can be sold already: by a confirmation that was faster.
            Word::Confirmed => Input::OrderExists,
            Word::Expired if saga.is_held => Input::Lapsed,
            _ => Input::Short,
        }
    }

    async fn record(&self, saga: &mut Saga) -> Input {
        let recorded = self
            .store
            .record_order(
                &saga.order,
                saga.id,
                saga.key.as_ref(),
                &saga.lines,
                self.recovery.lease_ms,
            )
            .await;
        match recorded {
            Ok(Recorded::Recorded) => Input::Done,
            Ok(Recorded::KeyTaken) => Input::KeyTaken,
            Ok(Recorded::OrderExists) => Input::OrderExists,
            Ok(Recorded::NotAllowed(why)) => {
                saga.not_allowed = Some(why);
                Input::NotAllowed
            }
            Err(store::Error::Overloaded) => Input::Shed,
            Err(error) => saga.unclear("record", error),
        }
    }

    async fn prepare(&self, saga: &mut Saga) -> Input {
        let prepared = self
            .gateway
            .prepare_all(saga.order.id, &saga.order.holds())
            .await;
        match prepared {
            Ok(lines) if lines.iter().all(|line| line.word == Word::Prepared) => Input::Done,
            Ok(_) => Input::Short,
            Err(error) => saga.unclear_in_redis("prepare", &error),
        }
    }

    async fn check_stock(&self, saga: &Saga) -> Input {
        let has_stock = self.store.has_stock_for(&saga.order);
        match self.store.answered(has_stock).await {
            Ok(true) => Input::Done,
            Ok(false) => Input::Short,
            Err(error) => saga.unclear("check the stock", error),
        }
    }

    async fn authorise(&self, saga: &mut Saga) -> Input {
        let Some(card) = &saga.card else {
            return Input::NoCard;
        };
        let payment = Payment {
            order_id: saga.order.id,
            amount_minor: saga.order.total_minor,
            currency: &saga.order.currency,
            card,
        };
        let authorised = self.provider.authorise(payment).await;
        saga.after_authorisation(authorised)
    }

    async fn ask(&self, saga: &mut Saga, question: u8) -> Input {
        // Twice as long before each question: 100, 200, 400, 800 ms.
        tokio::time::sleep(Duration::from_millis(50 << question.min(6))).await;
        let standing = self.provider.standing(saga.order.id).await;
        saga.after_question(standing)
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
            Err(error) => saga.unclear("commit", error),
        }
    }

    async fn confirm(&self, saga: &Saga) -> Input {
        let late = saga.order.may_be_taken_again(OffsetDateTime::now_utc());
        let holds = saga.order.holds();
        match self.gateway.confirm_all(saga.order.id, &holds, late).await {
            Ok(lines) => {
                for (line, outcome) in saga.order.lines.iter().zip(&lines) {
                    let is_forgotten = !late && outcome.word == Word::UnknownHold;
                    if outcome.word != Word::Confirmed && !is_forgotten {
                        // The sale stands in MySQL; Redis counts otherwise until reconciled.
                        let word = outcome.word;
                        tracing::error!(order = %saga.order.id, sku = %line.sku, ?word, "a sale was not confirmed");
                    }
                }
                Input::Done
            }
            Err(error) => saga.unclear_in_redis("confirm", &error),
        }
    }

    /// A cart that nobody can empty keeps its order from rest only for as long as a cart lives. The
    /// mark against taking out twice is younger than the order, and stands for as long.
    async fn empty_cart(&self, saga: &Saga) -> Input {
        let age = OffsetDateTime::now_utc() - saga.order.created_at;
        if !saga.order.from_cart || age > Duration::from_millis(self.cart_ttl_ms) {
            return Input::Done;
        }
        let emptied = self
            .gateway
            .take_out_of_cart(&saga.order, self.cart_ttl_ms)
            .await;
        saga.done_or_unclear("empty the cart", emptied)
    }

    async fn abort(&self, saga: &Saga, reason: Reason) -> Input {
        let author = saga.author_of(reason);
        let aborted = self.store.abort_order(&saga.order, reason, &author);
        match self.store.answered(aborted).await {
            Ok(Aborted::Aborted) => Input::Done,
            Ok(Aborted::CommittedBefore) => Input::LostRace,
            Err(error) => saga.unclear("abort", error),
        }
    }

    async fn release(&self, saga: &Saga) -> Input {
        // Nothing is held, so the money need not wait for Redis. What is made anew for orders in
        // flight when it comes back empty, the reconciler ends.
        if saga.is_unheld && self.gateway.is_away() {
            return Input::Done;
        }
        let holds = saga.order.holds();
        match self.gateway.release_all(saga.order.id, &holds).await {
            Ok(_) => Input::Done,
            Err(error) => saga.unclear_in_redis("release", &error),
        }
    }

    async fn cancel_sold(&self, saga: &Saga, reason: Reason) -> Input {
        // The window is for shoppers; the shop may find at any time that it cannot deliver.
        let window_ms = (reason == Reason::CancelledByShopper).then_some(self.cancel_window_ms);
        let (author, lease_ms) = (saga.author_of(reason), self.recovery.lease_ms);
        let cancelled = self
            .store
            .cancel_order(&saga.order, reason, &author, window_ms, lease_ms);
        match self.store.answered(cancelled).await {
            Ok(Cancelled::Cancelled) => Input::Done,
            Ok(Cancelled::TooLate) => Input::TooLate,
            Err(error) => saga.unclear("cancel", error),
        }
    }

    async fn park(&self, saga: &Saga) -> Input {
        let why = "the payment provider refuses to give the money back";
        tracing::error!(order = %saga.order.id, "{why}; the order is parked, see 'holdfast orders parked'");
        let parked = self.store.park_order(saga.order.id, why);
        let parked = self.store.answered(parked).await;
        saga.done_or_unclear("park", parked)
    }

    async fn settle(&self, saga: &Saga, end: End) -> Input {
        let settled = self.store.settle_order(saga.order.id, end).await;
        saga.done_or_unclear("settle", settled)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::{BoxFuture, pending};
    use uuid::Uuid;

    use super::*;
    use crate::config::Config;
    use crate::events::refusals::Refusals;
    use crate::gateway::Gateway;
    use crate::orders::{Order, Priced};
    use crate::payment::{self, Provider, Standing};
    use crate::reconcile::Servers;
    use crate::reconcile::rebuilding::Rebuilder;
    use crate::store::Store;
    use crate::telemetry::Metrics;

    type Answer<'a> = BoxFuture<'a, Result<Standing, payment::Error>>;

    /// As when a network loses a connection and tells nobody.
    struct Silent;

    impl Provider for Silent {
        fn authorise<'a>(&'a self, _: Payment<'a>) -> Answer<'a> {
            pending().boxed()
        }

        fn capture(&self, _: Uuid) -> Answer<'_> {
            pending().boxed()
        }

        fn refund(&self, _: Uuid) -> Answer<'_> {
            pending().boxed()
        }

        fn is_left_alone(&self) -> bool {
            false
        }

        fn standing(&self, _: Uuid) -> Answer<'_> {
            pending().boxed()
        }
    }

    fn runner(provider: Box<dyn Provider>) -> Runner {
        let config = Config::default();
        let gateway = Gateway::open(&config.redis).expect("the default URL");
        let store = Store::open(&config.mysql, &config.commit).expect("the default URL");
        let rebuilder = Rebuilder::start(Servers {
            gateway: gateway.clone(),
            store: store.clone(),
        });
        let refusals = Refusals::new(&config.kafka).expect("the default settings");
        let metrics = Metrics::new().into();
        Runner::new(
            gateway, rebuilder, store, provider, refusals, metrics, &config,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_that_has_no_answer_is_unclear_in_the_end() {
        let nothing = Priced {
            lines: Vec::new(),
            total_minor: 0,
            currency: "GBP".into(),
        };
        let order = Order::new(Uuid::now_v7(), Uuid::nil(), nothing);
        let mut saga = Saga::of(order);
        let runner = runner(Box::new(Silent));
        for effect in [Effect::Ask { question: 1 }, Effect::Capture, Effect::Refund] {
            assert_eq!(runner.perform(&mut saga, effect).await, Input::Unclear);
        }
    }
}
