//! Group commit: what every sale writes ([`record`], [`commit`], [`settle`]) is gathered while the
//! transaction before it is being flushed, and written as one.
//!
//! Each kind has a queue, a task and a connection of its own, so that neither a rush of new orders
//! nor an exhausted pool keeps a paid one from being confirmed. Each may be repeated at any point:
//! what is written already is found written.

mod commit;
mod new_orders;
pub(super) mod pieces;
mod queue;
mod record;
mod sale;
mod settle;
pub mod sift;
mod task;
mod trouble;

use std::sync::Arc;

use tokio::sync::Notify;

use super::primary::Primary;
use crate::config;
use crate::telemetry::metrics::Metrics;

pub use commit::Committed;
pub(super) use pieces::{ROWS, pieces};
pub use record::{IdempotencyKey, Recorded};

/// Connections that the committers have besides the pool.
pub(super) const CONNECTIONS: u32 = 3;

/// The ways to the three tasks, which end when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Committers {
    record: queue::Queue<record::Recording>,
    commit: queue::Queue<commit::Committing>,
    settle: queue::Queue<settle::Settling>,
}

impl Committers {
    /// Starts the tasks; nothing is connected until the first order.
    pub(super) fn start(
        primary: &Primary,
        outbox_wake: &Arc<Notify>,
        config: &config::Commit,
        metrics: &Metrics,
    ) -> Self {
        let (recording, committing) = (
            record::Recording::new(outbox_wake.clone()),
            commit::Committing::new(outbox_wake.clone()),
        );
        Self {
            record: queue::start(recording, primary, config, metrics),
            commit: queue::start(committing, primary, config, metrics),
            settle: queue::start(settle::Settling, primary, config, metrics),
        }
    }
}
