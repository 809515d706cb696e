//! How Redis comes back after it was away: somebody tries it until it answers, and has its counts
//! compared with MySQL, all of them, before anything is sold by them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::walk::{Task, Walk};
use super::{Error, Servers};
use crate::breaker::Outcome;
use crate::config::Reconcile;
use crate::gateway;
use crate::sessions::Sessions;
use crate::telemetry::Metrics;

/// Sales that are told at once.
const AT_ONCE: usize = 256;
/// How long what failed is left before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is asked how Redis stands, which costs nothing.
const POLL: Duration = Duration::from_millis(50);

/// The background task of one proxy. Each proxy does it for itself: two at once do no harm, and one
/// that sells must not depend on another that may be away.
pub struct Returning {
    /// Both sides.
    pub servers: Servers,
    /// Which of them ended meanwhile is told before any is believed again.
    pub sessions: Sessions,
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
        let mut reached = Instant::now();
        // Who logged out while the process before this one did not reach Redis is told anew.
        let mut away_before = self.sessions.longest_life();
        loop {
            let gateway = &self.servers.gateway;
            if !gateway.is_away() {
                reached = Instant::now();
            }
            if gateway.is_away() {
                self.try_it(away_before + reached.elapsed()).await;
            } else if !away_before.is_zero() {
                if self.is_back(away_before).await {
                    away_before = Duration::ZERO;
                } else {
                    tokio::time::sleep(PAUSE).await;
                }
            } else if !gateway.sells()
                && let Err(error) = self.catch_up().await
            {
                tracing::warn!(%error, "redis is back, and its counts could not be compared; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            self.metrics.redis_sells.set(gateway.sells().into());
            tokio::time::sleep(POLL).await;
        }
    }

    async fn try_it(&self, away: Duration) {
        for shard in self.servers.gateway.shards() {
            if shard.standing().is_away() && shard.standing().admits_trial() {
                let outcome = if self.is_back(away).await {
                    Outcome::Answered
                } else {
                    Outcome::Failed
                };
                shard.standing().note_trial(outcome);
            }
        }
    }

    /// Whether it answers, and knows of the sessions that ended while it was away.
    async fn is_back(&self, away: Duration) -> bool {
        let gateway = self.servers.gateway.unguarded();
        // A replica answers what is only read.
        if gateway.is_ready().await.is_err() || gateway.is_writable().await.is_err() {
            return false;
        }
        let told = self.sessions.tell_ended(&gateway, away).await;
        if let Err(error) = &told {
            tracing::warn!(%error, "redis is back, and could not be told which sessions have ended; it is tried again");
        }
        told.is_ok()
    }

    /// Tells Redis of what was sold meanwhile, puts every count right, and has it sold by again.
    async fn catch_up(&self) -> Result<(), Error> {
        let started = Instant::now();
        let shards = self.servers.gateway.shards();
        let doubts: Vec<u64> = shards
            .iter()
            .map(|shard| shard.standing().doubts())
            .collect();
        let told = self.tell_sales().await?;
        self.servers.store.hasten_decided().await?;
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
        for (shard, doubts) in shards.iter().zip(doubts) {
            shard.standing().note_compared(doubts);
        }
        let took = started.elapsed();
        tracing::info!(
            told,
            compared,
            wrong,
            left,
            ?took,
            "redis is back, its counts were compared, and orders are sold by them again"
        );
        Ok(())
    }

    /// Tells Redis of every sale that it may not know of, so that nobody is promised its units. That
    /// they are told of is written down by recovery, which tells them again.
    async fn tell_sales(&self) -> Result<usize, Error> {
        let Servers { gateway, store } = &self.servers;
        let sales = store.unsettled_sales().await?;
        for some in sales.chunks(AT_ONCE) {
            let orders = store.orders(some).await?;
            let told = orders.iter().map(|order| async move {
                let late = order.may_be_taken_again(OffsetDateTime::now_utc());
                match gateway.confirm_all(order.id, &order.holds(), late).await {
                    // Where its stock is lost, what it is made of anew counts the sale in.
                    Ok(_) | Err(gateway::Error::Refused { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            });
            try_join_all(told).await?;
        }
        Ok(sales.len())
    }
}
