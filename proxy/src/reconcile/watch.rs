//! Reconciles in the background: walk after walk, by one proxy of a database at a time, and at
//! once when Redis has lost its stock.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Error;
use super::rebuilding::Rebuilder;
use super::walk::{PAGE, Task, Walk};
use crate::config::Reconcile;
use crate::store::ReconcileLock;
use crate::telemetry::Metrics;

/// How often it is asked whether Redis has lost its stock, and, while another proxy reconciles,
/// whether it still does.
const POLL: Duration = Duration::from_secs(1);

/// The background task of one proxy.
pub struct Watch {
    /// Tells when a buyer met lost stock.
    pub rebuilder: Rebuilder,
    /// How often, and for how long holds are left alone.
    pub config: Reconcile,
    /// Where findings are counted.
    pub metrics: Arc<Metrics>,
}

/// Why a walk ended.
enum Walked {
    ToTheEnd,
    /// Redis has lost its stock: begin anew, and hurry.
    UntilALoss,
}

impl Watch {
    /// Reconciles until `stop`. While another proxy does, waits for its turn.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.take_turns() => {}
        }
    }

    async fn take_turns(&self) {
        loop {
            while self.rebuilder.servers.gateway.is_away_everywhere() {
                tokio::time::sleep(POLL).await;
            }
            match self.rebuilder.servers.store.lock_reconcile().await {
                Ok(Some(lock)) => {
                    let Err(error) = self.walk_while_locked(lock).await;
                    tracing::warn!(%error, "the stock could not be compared; it is tried again");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the reconciler cannot reach the database; it tries again")
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn walk_while_locked(&self, mut lock: ReconcileLock) -> Result<Infallible, Error> {
        loop {
            lock.keep().await?;
            if self.rebuilder.servers.gateway.is_rebuilt().await? {
                let duration = Duration::from_millis(self.config.interval_ms);
                self.walk(&mut lock, duration).await?;
            } else {
                self.rebuild(&mut lock).await?;
            }
        }
    }

    /// Walks as fast as it can, and notes that all stock is there.
    async fn rebuild(&self, lock: &mut ReconcileLock) -> Result<(), Error> {
        let begun = self.rebuilder.servers.gateway.begin_rebuilding().await?;
        if let Walked::ToTheEnd = self.walk(lock, Duration::ZERO).await? {
            self.rebuilder
                .servers
                .gateway
                .end_rebuilding(&begun)
                .await?;
        }
        Ok(())
    }

    /// One walk that takes about `duration`.
    async fn walk(&self, lock: &mut ReconcileLock, duration: Duration) -> Result<Walked, Error> {
        let started = Instant::now();
        let products = self.rebuilder.servers.store.product_count().await?;
        let pages = products.cast_unsigned().div_ceil(PAGE.into()).max(1);
        let pause = duration / u32::try_from(pages).unwrap_or(u32::MAX);
        let task = Task {
            fix: true,
            orphan_age_ms: self.config.orphan_age_ms,
            is_in_doubt: false,
        };
        let (mut walk, mut wrong, mut left) = (Walk::default(), 0, 0);
        loop {
            let begun = Instant::now();
            while begun.elapsed() < pause {
                if self
                    .loses_stock_within(pause.saturating_sub(begun.elapsed()))
                    .await?
                {
                    return Ok(Walked::UntilALoss);
                }
                lock.keep().await?;
            }
            lock.keep().await?;
            let Some(report) = walk.next(&self.rebuilder.servers, task).await? else {
                break;
            };
            wrong += report.findings.len();
            left += report.left();
        }
        self.metrics.reconcile_drifted_skus.set(wrong as i64);
        if wrong > 0 || left > 0 {
            let took = started.elapsed();
            tracing::info!(
                products,
                wrong,
                left,
                ?took,
                "the stock in redis was compared"
            );
        }
        Ok(Walked::ToTheEnd)
    }

    /// Waits, at most until it is time to ask again.
    async fn loses_stock_within(&self, duration: Duration) -> Result<bool, Error> {
        tokio::select! {
            () = self.rebuilder.loss() => {}
            () = tokio::time::sleep(duration.min(POLL)) => {}
        }
        Ok(!self.rebuilder.servers.gateway.is_rebuilt().await?)
    }
}
