//! Which server answers a read: the replica while it keeps up, the primary otherwise.
//!
//! What may be a moment old, such as the catalogue, is read from the replica; what decides, such as
//! the price of an order, from the primary. A replica is not asked before it was seen to keep up,
//! nor while it lags or gives no answer; with the primary away it is asked in any case, because an
//! old catalogue is better than none.

mod lag;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, MySqlPool};
use tokio_util::sync::CancellationToken;

use super::{Error, Store};
use crate::config;
use crate::telemetry::Metrics;
use crate::telemetry::reading::Pool;

/// A replica that has not answered within this is taken for gone, and the primary asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As old as `mysql.replica_max_lag_ms` allows.
    MayLag,
    /// Whatever was committed before is seen.
    Newest,
}

/// The pools that reads go to. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reads {
    primary: MySqlPool,
    replica: Option<Arc<Replica>>,
    metrics: Arc<Metrics>,
}

struct Replica {
    pool: MySqlPool,
    max_lag: Duration,
    serves: AtomicBool,
}

impl Reads {
    /// Prepares the pool of the replica, if there is one; nothing is connected yet.
    pub(super) fn open(
        config: &config::Mysql,
        primary: MySqlPool,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, sqlx::Error> {
        let replica = config.replica_url.as_ref().map(|url| {
            let options: MySqlConnectOptions = url.expose().parse()?;
            let pool = MySqlPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(options.disable_statement_logging());
            Ok::<_, sqlx::Error>(Arc::new(Replica {
                pool,
                max_lag: Duration::from_millis(config.replica_max_lag_ms),
                serves: AtomicBool::new(false),
            }))
        });
        Ok(Self {
            primary,
            replica: replica.transpose()?,
            metrics: metrics.clone(),
        })
    }

    /// The longest that an answer is behind what was committed: the lag that is allowed, and the
    /// time until a longer one is noticed. Nothing without a replica.
    fn longest_lag(&self) -> Duration {
        let replica = self.replica.as_ref();
        replica.map_or(Duration::ZERO, |replica| {
            replica.max_lag + watch::INTERVAL + PATIENCE
        })
    }
}

impl Store {
    /// Looks at the replica from time to time until `stop`; without it the replica is never read.
    pub async fn watch_replica(self, stop: CancellationToken) {
        if let Some(replica) = &self.reads.replica {
            let watched = watch::run(&self.reads.primary, replica, &self.reads.metrics.reading);
            stop.run_until_cancelled(watched).await;
        }
    }

    /// The longest that an answer of [`Freshness::MayLag`] is behind what was committed.
    pub fn longest_lag(&self) -> Duration {
        self.reads.longest_lag()
    }

    /// What `query` reads on the server that is to answer it.
    pub(super) async fn read<T, F>(
        &self,
        freshness: Freshness,
        query: impl Fn(MySqlPool) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let reads = &self.reads;
        if freshness == Freshness::MayLag
            && let Some(replica) = &reads.replica
            && replica.serves.load(Ordering::Relaxed)
        {
            let answer = tokio::time::timeout(PATIENCE, query(replica.pool.clone())).await;
            match answer {
                Ok(Ok(answer)) => {
                    reads.metrics.reading.read_from(Pool::Replica);
                    return Ok(answer);
                }
                Ok(Err(error)) => replica.give_up(&error),
                Err(_) => replica.give_up(&Error::Unanswered),
            }
        }
        reads.metrics.reading.read_from(Pool::Primary);
        Ok(query(reads.primary.clone()).await?)
    }
}

impl Replica {
    /// It is not asked again before it was looked at.
    fn give_up(&self, error: &dyn std::fmt::Display) {
        if self.serves.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "the replica does not answer; the primary is read");
        }
    }
}
