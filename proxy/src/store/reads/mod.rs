//! Which server answers a read: the first replica that keeps up, the primary otherwise.
//!
//! What may be a moment old, such as the catalogue, is read from a replica; what decides, such as
//! the price of an order, from the primary. A replica is not asked before it was seen to keep up,
//! nor while it lags or gives no answer; with the primary away it is asked in any case, because an
//! old catalogue is better than none.

mod lag;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::MySqlPool;
use sqlx::mysql::MySqlPoolOptions;
use tokio_util::sync::CancellationToken;

use super::primary::Primary;
use super::{Error, Store};
use crate::config;
use crate::telemetry::Metrics;
use crate::telemetry::reading::Pool;

/// A replica that has not answered within this is taken for gone, and another server asked; and so is the primary for
/// what a replica can answer as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As old as `mysql.replica_max_lag_ms` allows.
    MayLag,
    /// Whatever was committed before is seen, or there is no answer.
    Newest,
    /// Whatever was committed before is seen; while the primary is away, what a replica has.
    NewestThereIs,
}

/// The servers that reads go to. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reads {
    primary: Primary,
    replicas: Arc<[Replica]>,
    max_lag: Duration,
    metrics: Arc<Metrics>,
}

struct Replica {
    name: String,
    pool: MySqlPool,
    serves: AtomicBool,
}

impl Reads {
    /// Prepares the pools of the replicas; nothing is connected yet.
    pub(super) fn open(
        config: &config::Mysql,
        primary: Primary,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, config::Error> {
        let hosts = config.replica_hosts()?.into_iter();
        let replica = |host: config::MysqlHost| Replica {
            name: host.name,
            pool: MySqlPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(host.options),
            serves: AtomicBool::new(false),
        };
        Ok(Self {
            primary,
            replicas: hosts.map(replica).collect(),
            max_lag: Duration::from_millis(config.replica_max_lag_ms),
            metrics: metrics.clone(),
        })
    }

    /// The longest that an answer is behind what was committed: the lag that is allowed, and the
    /// time until a longer one is noticed. Nothing without a replica.
    fn longest_lag(&self) -> Duration {
        match self.replicas.is_empty() {
            true => Duration::ZERO,
            false => self.max_lag + watch::INTERVAL + PATIENCE,
        }
    }
}

impl Store {
    /// Looks at the replicas from time to time until `stop`; without it none is ever read.
    pub async fn watch_replicas(self, stop: CancellationToken) {
        if !self.reads.replicas.is_empty() {
            stop.run_until_cancelled(watch::run(&self.reads)).await;
        }
    }

    /// The longest that an answer of [`Freshness::MayLag`] is behind what was committed.
    pub fn longest_lag(&self) -> Duration {
        self.reads.longest_lag()
    }

    /// What `query` reads on the server that is to answer it.
    pub(super) async fn read<T, F, E>(
        &self,
        freshness: Freshness,
        query: impl Fn(MySqlPool) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, E>>,
        Error: From<E>,
    {
        let reads = &self.reads;
        let primary = async { Ok(query(reads.primary.pool().await?).await?) };
        if freshness == Freshness::Newest || reads.replicas.is_empty() {
            reads.metrics.reading.read_from(Pool::Primary);
            return primary.await;
        }
        let (serving, late): (Vec<_>, Vec<_>) = reads.replicas.iter().partition(|it| it.serves());
        if freshness == Freshness::MayLag {
            for replica in &serving {
                if let Ok(answer) = reads.read_replica(replica, &query).await {
                    return Ok(answer);
                }
            }
        }
        let failed = match in_time(primary).await {
            Ok(answer) => {
                reads.metrics.reading.read_from(Pool::Primary);
                return Ok(answer);
            }
            Err(error @ Error::Database(sqlx::Error::RowNotFound)) => return Err(error),
            Err(error) => error,
        };
        let first = serving.into_iter().filter(|it| it.serves());
        for replica in first.chain(late) {
            if let Ok(answer) = reads.read_replica(replica, &query).await {
                return Ok(answer);
            }
        }
        Err(failed)
    }
}

impl Reads {
    async fn read_replica<T, F, E>(
        &self,
        replica: &Replica,
        query: impl Fn(MySqlPool) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, E>>,
        Error: From<E>,
    {
        let answer = in_time(async { Ok(query(replica.pool.clone()).await?) }).await;
        match &answer {
            Ok(_) => self.metrics.reading.read_from(Pool::Replica),
            Err(Error::Database(sqlx::Error::RowNotFound)) => {}
            Err(error) => replica.give_up(error),
        }
        answer
    }
}

impl Replica {
    fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// It is not asked first again before it was looked at.
    fn give_up(&self, error: &Error) {
        if self.serves.swap(false, Ordering::Relaxed) {
            tracing::warn!(replica = self.name, %error, "this replica does not answer; another server is read");
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or(Err(Error::Unanswered))
}
