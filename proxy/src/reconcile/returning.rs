//! How Redis comes back after it was away: somebody tries it until it answers, and has its counts
//! compared with MySQL, all of them, before anything is sold by them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::walk::{Task, Walk};
use super::{Error, Servers};
use crate::breaker::Outcome;
use crate::catalogue::Sku;
use crate::config::Reconcile;
use crate::gateway;
use crate::gateway::shard::Shard;
use crate::sessions::Sessions;
use crate::telemetry::Metrics;

/// Sales that are told at once.
const AT_ONCE: usize = 256;
/// How long what failed is left before it is tried again.
const PAUSE: Duration = Duration::from_millis(250);
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
        let gateway = &self.servers.gateway;
        let mut cared: Vec<Arc<Shard>> = Vec::new();
        let mut caring = FuturesUnordered::new();
        loop {
            for shard in gateway.shards() {
                if !cared.iter().any(|known| Arc::ptr_eq(known, &shard)) {
                    cared.push(shard.clone());
                    caring.push(self.care(shard));
                }
            }
            self.metrics.redis_sells.set(gateway.sells().into());
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                Some(gone) = caring.next() => cared.retain(|shard| !Arc::ptr_eq(shard, &gone)),
            }
        }
    }

    /// Looks after one shard as long as it is one.
    async fn care(&self, shard: Arc<Shard>) -> Arc<Shard> {
        let standing = shard.standing();
        let mut reached = Instant::now();
        // Who logged out while the process before this one did not reach Redis is told anew.
        let mut away_before = self.sessions.longest_life();
        let mut told_after = None;
        while self.servers.gateway.is_shard(&shard) {
            let doubts = standing.doubts();
            let away = away_before + reached.elapsed();
            if standing.is_away() {
                if standing.admits_trial() {
                    let is_back = self.is_back(&shard, away).await;
                    told_after = is_back.then_some(doubts);
                    standing.note_trial(match is_back {
                        true => Outcome::Answered,
                        false => Outcome::Failed,
                    });
                }
            } else if told_after != Some(doubts) {
                // Another primary may not have heard of the last that ended.
                match self.is_back(&shard, away).await {
                    true => told_after = Some(doubts),
                    false => tokio::time::sleep(PAUSE).await,
                }
            } else {
                (reached, away_before) = (Instant::now(), Duration::ZERO);
                if !standing.sells()
                    && let Err(error) = self.catch_up(&shard).await
                {
                    tracing::warn!(%error, "redis is back, and its counts could not be compared; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::time::sleep(POLL).await;
        }
        shard
    }

    /// Whether it answers, and knows of the sessions that ended while it was away.
    async fn is_back(&self, shard: &Arc<Shard>, away: Duration) -> bool {
        let gateway = self.servers.gateway.unguarded();
        // A replica answers what is only read.
        if gateway.is_ready_at(shard).await.is_err() || gateway.is_writable_at(shard).await.is_err()
        {
            return false;
        }
        let concerns = |session: &str| gateway.has_session(shard, session);
        let told = self.sessions.tell_ended(&gateway, away, concerns).await;
        if let Err(error) = &told {
            tracing::warn!(%error, "redis is back, and could not be told which sessions have ended; it is tried again");
        }
        told.is_ok()
    }

    /// Tells Redis of what was sold meanwhile, puts every count right, and has it sold by again.
    async fn catch_up(&self, shard: &Arc<Shard>) -> Result<(), Error> {
        let started = Instant::now();
        let doubts = shard.standing().doubts();
        let told = self.tell_sales(shard).await?;
        self.servers.store.hasten_decided().await?;
        let task = Task {
            fix: true,
            orphan_age_ms: self.config.orphan_age_ms,
            is_in_doubt: true,
        };
        let (mut walk, mut compared, mut wrong, mut left) = (Walk::default(), 0, 0, 0);
        let concerns = |sku: &Sku| self.servers.gateway.has_sku(shard, sku);
        while let Some(report) = walk.next_of(&self.servers, task, concerns).await? {
            compared += report.compared;
            wrong += report.findings.len();
            left += report.left();
        }
        shard.standing().note_compared(doubts);
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
    async fn tell_sales(&self, shard: &Arc<Shard>) -> Result<usize, Error> {
        let Servers { gateway, store } = &self.servers;
        let sales = store.unsettled_sales().await?;
        for some in sales.chunks(AT_ONCE) {
            let orders = store.orders(some).await?;
            let told = orders.iter().map(|order| async move {
                let late = order.may_be_taken_again(OffsetDateTime::now_utc());
                let mut holds = order.holds();
                holds.retain(|(sku, _)| gateway.has_sku(shard, sku));
                match gateway.confirm_all(order.id, &holds, late).await {
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
