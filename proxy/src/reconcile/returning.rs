//! How Redis comes back after it was away: somebody tries it until it answers, and has its counts
//! compared with MySQL, all of them, before anything is sold by them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::walk::{Task, Walk};
use super::{Error, Servers};
use crate::breaker::Outcome;
use crate::config::Reconcile;
use crate::telemetry::Metrics;

/// How often it is asked how Redis stands, which costs nothing.
const POLL: Duration = Duration::from_millis(50);

/// The background task of one proxy. Each proxy does it for itself: two at once do no harm, and one
/// that sells must not depend on another that may be away.
pub struct Returning {
    /// Both sides.
    pub servers: Servers,
    /// For how long holds are left alone.
    pub config: Reconcile,
    /// Where it is shown.
    pub metrics: Arc<Metrics>,
}

impl Returning {
    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch() => {}
        }
    }

    async fn watch(&self) {
        loop {
            let gateway = &self.servers.gateway;
            if gateway.is_away() {
                self.try_it().await;
            } else if !gateway.sells()
                && let Err(error) = self.catch_up().await
            {
                tracing::warn!(%error, "redis is back, and its counts could not be compared; it is tried again");
            }
            self.metrics.redis_sells.set(gateway.sells().into());
            tokio::time::sleep(POLL).await;
        }
    }

    async fn try_it(&self) {
        let gateway = &self.servers.gateway;
        if gateway.admits_trial() {
            let outcome = match gateway.unguarded().is_ready().await {
                Ok(()) => Outcome::Answered,
                Err(_) => Outcome::Failed,
            };
            gateway.note_trial(outcome);
        }
    }

    /// Puts every count right, and has it sold by again.
    async fn catch_up(&self) -> Result<(), Error> {
        let started = Instant::now();
        let openings = self.servers.gateway.openings();
        let task = Task {
            fix: true,
            orphan_age_ms: self.config.orphan_age_ms,
        };
        let (mut walk, mut compared, mut wrong, mut left) = (Walk::default(), 0, 0, 0);
        while let Some(report) = walk.next(&self.servers, task).await? {
            compared += report.compared;
            wrong += report.findings.len();
            left += report.left();
        }
        self.servers.gateway.note_compared(openings);
        let took = started.elapsed();
        tracing::info!(
            compared,
            wrong,
            left,
            ?took,
            "redis is back, its counts were compared, and orders are sold by them again"
        );
        Ok(())
    }
}
