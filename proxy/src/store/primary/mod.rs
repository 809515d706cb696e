//! Who is written to: of several servers the one that takes writes, in the newest term.
//!
//! All hosts are looked at a few times a second ([`watch`]), and what they say decides ([`decision`]). Whoever writes
//! asks for the server each time; a switch gives a new pool, so that no connection to a former primary is used again,
//! and ends what is still asked there: nobody knows what came of it, and everything here may be repeated.

mod decision;
mod look;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use sqlx::{ConnectOptions, MySqlPool};
use tokio::sync::{Notify, watch as channel};
use tokio::time::timeout;

use self::decision::Report;
use self::look::look;
use super::silence::{LONGEST_WAIT, end_silent_transactions};
use super::{Error, committer};
use crate::config::{self, MysqlHost};
use crate::telemetry::Metrics;

/// The way to the server that is written to. Cheap to clone; with the last clone the watch ends.
#[derive(Clone)]
pub(super) struct Primary {
    state: channel::Receiver<State>,
    hint: Arc<Notify>,
    patience: Duration,
}

/// A server that was the primary when it was asked for.
#[derive(Clone)]
pub(super) struct Target {
    server: Server,
    turn: u64,
    state: channel::Receiver<State>,
}

#[derive(Clone)]
struct Server {
    pool: MySqlPool,
    options: MySqlConnectOptions,
    term: u64,
}

/// What is told to those who write.
struct State {
    /// Who is written to; nobody while none may be.
    server: Option<Server>,
    /// Counts the changes of `server`.
    turn: u64,
    /// What each host said of itself.
    said: String,
}

/// What the watch needs.
struct Watched {
    hosts: Vec<MysqlHost>,
    max_connections: u32,
    acquire_timeout: Duration,
    state: channel::Sender<State>,
    hint: Arc<Notify>,
    counted: Arc<Metrics>,
}

impl Primary {
    /// Begins to look at the servers. Needs a runtime.
    pub(super) fn watch(
        config: &config::Mysql,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, config::Error> {
        let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
        let (sender, state) = channel::channel(State {
            server: None,
            turn: 0,
            said: "not looked at yet".to_owned(),
        });
        let hint = Arc::new(Notify::new());
        let watched = Watched {
            hosts: config.hosts()?,
            max_connections: config.max_connections,
            acquire_timeout,
            state: sender,
            hint: hint.clone(),
            counted: metrics.clone(),
        };
        tokio::spawn(watch::run(watched));
        Ok(Self {
            state,
            hint,
            patience: acquire_timeout,
        })
    }

    /// The server that is written to. While there is none, waits for one as long as for a connection.
    pub(super) async fn target(&self) -> Result<Target, Error> {
        let mut state = self.state.clone();
        let there = state.wait_for(|state| state.server.is_some());
        let found = match timeout(self.patience, there).await {
            Ok(Ok(state)) => state.server.clone().map(|server| (server, state.turn)),
            _ => None,
        };
        let Some((server, turn)) = found else {
            return Err(Error::NoPrimary(self.state.borrow().said.clone()));
        };
        Ok(Target {
            server,
            turn,
            state,
        })
    }

    /// Its pool.
    pub(super) async fn pool(&self) -> Result<MySqlPool, Error> {
        Ok(self.target().await?.server.pool)
    }

    /// Something went wrong that may mean that another server is the primary by now: it is looked at at once.
    pub(super) fn look_again(&self) {
        self.hint.notify_one();
    }

    /// Ends when another server is written to than now, or than the first that there will be.
    pub(super) async fn moved(&self) {
        let mut state = self.state.clone();
        let turn = state.wait_for(|state| state.server.is_some()).await;
        if let Ok(turn) = turn.map(|state| state.turn) {
            left(&mut state, turn).await;
        }
    }
}

impl Target {
    /// A connection of one's own, which no pool knows.
    pub(super) async fn connect(&self) -> Result<MySqlConnection, Error> {
        let mut connection = self.server.options.connect().await?;
        prepare(&mut connection, self.server.term).await?;
        Ok(connection)
    }

    /// A connection of the pool.
    pub(super) fn pool(&self) -> &MySqlPool {
        &self.server.pool
    }

    /// Whether another server is written to by now.
    pub(super) fn is_left(&self) -> bool {
        self.state.borrow().turn != self.turn
    }

    /// What `asked` answers, within [`LONGEST_WAIT`] and before another server is written to.
    ///
    /// # Errors
    /// Those of `asked`, and [`Error::Unanswered`]: it may or may not be done.
    pub(super) async fn answers<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut state = self.state.clone();
        tokio::select! {
            biased;
            answer = asked => answer,
            () = left(&mut state, self.turn) => Err(Error::Unanswered),
            () = tokio::time::sleep(LONGEST_WAIT) => Err(Error::Unanswered),
        }
    }
}

impl Server {
    fn new(watched: &Watched, host: usize, term: u64) -> Self {
        let options = watched.hosts[host].options.clone();
        let connections = watched
            .max_connections
            .saturating_sub(committer::CONNECTIONS);
        let pool = MySqlPoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(watched.acquire_timeout)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    let prepared = prepare(connection, term).await;
                    prepared.map_err(|error| sqlx::Error::Configuration(error.into()))
                })
            })
            .connect_lazy_with(options.clone());
        Self {
            pool,
            options,
            term,
        }
    }
}

/// Makes a new connection one to write by, or refuses it: since the last look another server may have been made the
/// primary.
async fn prepare(connection: &mut MySqlConnection, wanted: u64) -> Result<(), Error> {
    match look(connection).await? {
        Report::Writable { term, .. } if term >= wanted => {}
        other => return Err(Error::NoPrimary(other.to_string())),
    }
    Ok(end_silent_transactions(connection).await?)
}

async fn left(state: &mut channel::Receiver<State>, turn: u64) {
    // Without a watch nobody is told of a switch any more.
    if state.wait_for(|state| state.turn != turn).await.is_err() {
        std::future::pending().await
    }
}
