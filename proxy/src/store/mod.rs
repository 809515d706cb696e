//! The truth: MySQL, one file a table.

pub mod admission;
pub mod allowance;
mod buyer_purchases;
pub mod cancellation;
pub mod committer;
pub mod inventory_logs;
pub mod leases;
pub mod order_history;
mod order_rows;
pub mod order_search;
pub mod orders;
pub mod outbox;
pub mod parked_events;
pub mod parked_orders;
pub mod payment_notices;
mod primary;
pub mod products;
mod reads;
mod reconciliation;
pub mod sessions;
pub mod silence;
pub mod undo;
pub mod users;
mod without_redis;

pub use reads::Freshness;
pub use reconciliation::ReconcileLock;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::migrate::Migrator;
use tokio::sync::Notify;

use self::committer::Committers;
use self::primary::Primary;
use self::reads::Reads;
use crate::config;
use crate::telemetry::metrics::Metrics;

/// The migrations of the tree's migrations/ folder, compiled in.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// The database did not do what was asked. A connection lost at COMMIT may have committed, so
/// callers treat a write that failed like this as *unknown*; every write here can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver's or the server's error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error(transparent)]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The tables are older than this binary.
    #[error("the database is not migrated; run 'holdfast migrate'")]
    NotMigrated,
    /// Too many orders wait to be written. Nothing was written; the same may be tried again.
    #[error("too many orders wait to be written")]
    Overloaded,
    /// The order is none that can be confirmed. Nothing was written.
    #[error("the order is neither pending nor paid, or its stock changed under a lock")]
    NotToBeConfirmed,
    /// No server may be written to: each says why. Nothing was written; the same may be tried again.
    #[error("no server of mysql.url may be written to: {0}")]
    NoPrimary(String),
    /// The database did not answer in time. What was asked may or may not be done.
    #[error("the database did not answer in time")]
    Unanswered,
    /// The transaction that many orders shared failed.
    #[error(transparent)]
    Batch(Arc<Error>),
}

impl Error {
    /// True when InnoDB chose this transaction as a deadlock's victim or it waited too long for
    /// a lock (errors 1213 and 1205): nothing was done and the same may be tried again.
    pub fn is_lock_conflict(&self) -> bool {
        matches!(self.mysql_number(), Some(1213 | 1205))
    }

    /// True when a unique key exists already (error 1062).
    pub fn is_duplicate(&self) -> bool {
        self.mysql_number() == Some(1062)
    }

    /// True when a CHECK constraint refused (MySQL 3819, MariaDB 4025).
    pub fn is_check_violation(&self) -> bool {
        matches!(self.mysql_number(), Some(3819 | 4025))
    }

    fn mysql_number(&self) -> Option<u16> {
        let error = match self {
            Error::Database(sqlx::Error::Database(error)) => error,
            Error::Batch(error) => return error.mysql_number(),
            _ => return None,
        };
        error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map(|error| error.number())
    }
}

/// Several statements that become true together; dropped without a commit, none of them does.
pub type Transaction = sqlx::Transaction<'static, sqlx::MySql>;

/// The ways to the primary, and to replicas for what may be a moment old. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    primary: Primary,
    reads: Reads,
    outbox_wake: Arc<Notify>,
    committers: Committers,
    has_been_ready: Arc<AtomicBool>,
}

impl Store {
    /// Begins to look for the primary and starts the committers; who asks first waits for it.
    /// Needs a runtime.
    ///
    /// # Errors
    /// When a URL is none, which `config check` would have said.
    pub fn open(config: &config::Mysql, commit: &config::Commit) -> Result<Self, config::Error> {
        Self::open_counted(config, commit, &Arc::new(Metrics::new()))
    }

    /// The same, with what the committers do, who is written to and who is read counted in `metrics`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_counted(
        config: &config::Mysql,
        commit: &config::Commit,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, config::Error> {
        let primary = Primary::watch(config, metrics)?;
        let outbox_wake = Arc::default();
        let committers = Committers::start(&primary, &outbox_wake, commit, metrics);
        let reads = Reads::open(config, primary.clone(), metrics)?;
        Ok(Self {
            primary,
            reads,
            outbox_wake,
            committers,
            has_been_ready: Arc::default(),
        })
    }

    /// Begins a transaction on a connection of its own.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        Ok(self.primary.pool().await?.begin().await?)
    }

    /// Brings the tables up to this binary's version.
    ///
    /// # Errors
    /// When no primary can be reached or a migration fails.
    pub async fn migrate(&self) -> Result<(), Error> {
        Ok(MIGRATIONS.run(&self.primary.pool().await?).await?)
    }

    /// Fails unless the database answers and has every migration.
    pub async fn is_ready(&self) -> Result<(), Error> {
        let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
        let applied: Result<Option<i64>, _> =
            sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
                .fetch_one(&self.primary.pool().await?)
                .await;
        match applied {
            Ok(applied) if applied >= newest => {
                self.has_been_ready.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(_) => Err(Error::NotMigrated),
            // 1146: no such table.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42S02") => {
                Err(Error::NotMigrated)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether [`Store::is_ready`] has ever said so.
    pub fn has_been_ready(&self) -> bool {
        self.has_been_ready.load(Ordering::Relaxed)
    }
}
