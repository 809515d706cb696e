//! One run of a saga, whoever runs it.

use tokio::sync::oneshot;
use uuid::Uuid;

use super::machine::{Input, Reason};
use super::runner::Ending;
use crate::gateway;
use crate::gateway::inventory::Outcome;
use crate::orders::{Author, Order};
use crate::store::allowance::NotAllowed;
use crate::store::committer::IdempotencyKey;
use crate::telemetry::metrics;

/// What one saga carries from effect to effect.
pub struct Saga {
    /// By which a repeated record knows its own.
    pub id: Uuid,
    /// The order, as it was when the run began.
    pub order: Order,
    /// What the buyer pays with; recovery and a cancellation have none.
    pub card: Option<String>,
    /// What makes the request recognisable when it comes again.
    pub key: Option<IdempotencyKey>,
    /// True when the units were held at checkout.
    pub is_held: bool,
    /// True when nothing was held, because Redis was away.
    pub is_unheld: bool,
    /// What Redis said of each line when they were reserved.
    pub lines: Vec<Outcome>,
    /// Why the buyer may not have so much, where that ended it.
    pub not_allowed: Option<NotAllowed>,
    /// The provider's name for the payment, once it has one.
    pub payment_id: String,
    /// Who cancels, where it is a cancellation.
    pub canceller: Option<Author>,
    /// How often recovery took the order up before this saga.
    pub attempts: u32,
    /// How it ended, as far as is known; for the count.
    pub ending: metrics::Ending,
    /// Whoever asked, until they are told.
    pub listener: Option<oneshot::Sender<Ending>>,
}

impl Saga {
    /// A run that recovery or a cancellation begins.
    pub fn of(order: Order) -> Self {
        Self {
            id: Uuid::now_v7(),
            order,
            card: None,
            key: None,
            is_held: false,
            is_unheld: false,
            lines: Vec::new(),
            not_allowed: None,
            payment_id: String::new(),
            canceller: None,
            attempts: 0,
            ending: metrics::Ending::Refused,
            listener: None,
        }
    }

    /// Who calls the order off for `reason`.
    pub fn author_of(&self, reason: Reason) -> Author {
        let canceller = self.canceller.clone();
        canceller.unwrap_or_else(|| reason.actor().into())
    }

    /// The input that the result of an effect is.
    pub fn done_or_unclear<T, E: std::fmt::Display>(
        &self,
        step: &str,
        done: Result<T, E>,
    ) -> Input {
        match done {
            Ok(_) => Input::Done,
            Err(error) => self.unclear(step, error),
        }
    }

    /// The input after a call to Redis failed. That it is away the log knows already.
    pub fn unclear_in_redis(&self, step: &str, error: &gateway::Error) -> Input {
        match error {
            gateway::Error::Away => Input::Unclear,
            error => self.unclear(step, error),
        }
    }

    /// The input after a failure, which is logged here and nowhere else.
    pub fn unclear(&self, step: &str, error: impl std::fmt::Display) -> Input {
        tracing::warn!(order = %self.order.id, step, %error, "a step of a saga is unclear");
        Input::Unclear
    }
}
