//! The gate: typed calls to Redis. Each call has a deadline, and each failure says whether the
//! command may have been done.

pub mod carts;
pub mod holds;
pub mod idempotency;
pub mod inventory;
pub mod products;
mod reconciliation;
mod replication;
mod session_index;
pub mod sessions;
mod standing;
pub mod throttle;
pub mod updates;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, FromRedisValue, Pipeline, ServerErrorKind, Value};

use crate::config;
use replication::Replication;
use standing::Standing;

/// Why a call to Redis gave no answer. Commands carry ids, so any of them may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis has failed again and again and is left alone for a while: nothing was sent.
    #[error("redis does not answer, and is left alone for a while")]
    Away,
    /// The server answered with an error: nothing was changed.
    #[error("redis refused {command}: {message}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's words, beginning with the error's prefix.
        message: String,
    },
    /// The command was not sent: nothing was changed.
    #[error("redis was not reached for {command}: {cause}")]
    NotDone {
        /// The command's name.
        command: String,
        /// What went wrong.
        cause: String,
    },
    /// No answer came in time, or it was not understood: the command may have been done.
    #[error("redis left {command} without a usable answer: {cause}")]
    Unknown {
        /// The command's name.
        command: String,
        /// What went wrong.
        cause: String,
    },
    /// The primary holds the units, and too few replicas have acknowledged that in time: a
    /// failover may forget it. Release the hold, or ask for it again.
    #[error("{replicas} replicas have the hold, and redis.replica_acks is {wanted}")]
    NotReplicated {
        /// How many have acknowledged it.
        replicas: u32,
        /// How many must have it.
        wanted: u32,
    },
}

impl Error {
    /// True when the server's error begins with `prefix`, such as `NOSUCHSTOCK`.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        matches!(self, Error::Refused { message, .. } if message.starts_with(prefix))
    }
}

/// One Redis server with the Holdfast module, behind one multiplexed connection that mends
/// itself. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    client: redis::Client,
    connection: ConnectionManager,
    deadline: Duration,
    replication: Option<Replication>,
    /// Only a server keeps one: a command of the command line ends with the first failure.
    standing: Option<Arc<Standing>>,
}

impl Gateway {
    /// Prepares the connection; nothing is sent until the first call, so the server may come
    /// later.
    ///
    /// # Errors
    /// When the URL is none, which `config check` would have said.
    pub fn open(config: &config::Redis) -> Result<Self, redis::RedisError> {
        let deadline = Duration::from_millis(config.timeout_ms);
        let client = redis::Client::open(config.url.expose())?;
        Ok(Self {
            connection: manager(&client, deadline)?,
            deadline,
            replication: Replication::open(&client, config)?,
            standing: None,
            client,
        })
    }

    /// Sends one command and reads its answer as `T`, within the deadline.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.admit()?;
        let answered = self.send(command).await;
        self.note(&answered);
        T::from_redis_value(answered?).map_err(|error| unknown(command, &error.to_string()))
    }

    async fn send(&self, command: &Cmd) -> Result<Value, Error> {
        let mut connection = self.connection.clone();
        let answered = tokio::time::timeout(self.deadline, connection.send_packed_command(command));
        match answered.await {
            Ok(Ok(value)) => value
                .extract_error()
                .map_err(|error| classify(command, &error)),
            Ok(Err(error)) => Err(classify(command, &error)),
            Err(_) => Err(unknown(command, "no answer within redis.timeout_ms")),
        }
    }

    /// Sends a MULTI … EXEC and reads its answers as `T`, within the deadline. `first` stands for
    /// it in errors.
    async fn call_atomically<T: FromRedisValue>(
        &self,
        first: &Cmd,
        transaction: &Pipeline,
    ) -> Result<T, Error> {
        self.admit()?;
        let mut connection = self.connection.clone();
        let answered =
            tokio::time::timeout(self.deadline, transaction.query_async(&mut connection));
        let answer = match answered.await {
            Ok(answer) => answer.map_err(|error| classify(first, &error)),
            Err(_) => Err(unknown(first, "no answer within redis.timeout_ms")),
        };
        self.note(&answer);
        answer
    }

    /// Fails unless the server answers and has the module.
    pub async fn is_ready(&self) -> Result<(), Error> {
        self.call::<Value>(redis::cmd("INV.GET").arg("inv:{readiness}"))
            .await
            .map(drop)
    }

    /// The server's `maxmemory-policy`.
    pub async fn eviction_policy(&self) -> Result<String, Error> {
        let info: redis::InfoDict = self.call(redis::cmd("INFO").arg("memory")).await?;
        Ok(info.get("maxmemory_policy").unwrap_or_default())
    }
}

/// A connection that mends itself, and is made with its first command.
fn manager(
    client: &redis::Client,
    deadline: Duration,
) -> Result<ConnectionManager, redis::RedisError> {
    // The manager's own waiting is bounded by who waits for it; these only shape its reconnects.
    let settings = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_connection_timeout(Some(deadline))
        .set_response_timeout(Some(deadline))
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(500));
    client.get_connection_manager_lazy(settings)
}

fn classify(command: &Cmd, error: &redis::RedisError) -> Error {
    match error.kind() {
        redis::ErrorKind::Server(ServerErrorKind::BusyLoading) => not_done(command, error),
        redis::ErrorKind::Server(_) | redis::ErrorKind::Extension => Error::Refused {
            command: name(command),
            message: [
                error.code().unwrap_or_default(),
                error.detail().unwrap_or_default(),
            ]
            .join(" "),
        },
        _ if error.is_connection_refusal() => not_done(command, error),
        _ => unknown(command, &error.to_string()),
    }
}

fn not_done(command: &Cmd, error: &redis::RedisError) -> Error {
    not_done_because(command, &error.to_string())
}

fn not_done_because(command: &Cmd, cause: &str) -> Error {
    Error::NotDone {
        command: name(command),
        cause: cause.to_owned(),
    }
}

fn unknown(command: &Cmd, cause: &str) -> Error {
    Error::Unknown {
        command: name(command),
        cause: cause.to_owned(),
    }
}

fn name(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => String::new(),
    }
}
