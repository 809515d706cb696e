//! The gate: typed calls to Redis. Each call has a deadline, and each failure says whether the
//! command may have been done.

mod access;
pub mod carts;
mod cluster;
mod connection;
mod error;
pub mod holds;
pub mod idempotency;
pub mod inventory;
mod keys;
pub mod products;
mod reconciliation;
mod redirect;
mod replication;
mod request;
pub mod reservation;
mod sentinel;
mod server;
mod session_index;
pub mod sessions;
mod shape;
pub mod shard;
pub mod standing;
pub mod throttle;
pub mod updates;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use redis::{Cmd, FromRedisValue, Value};
use tokio::time::{Instant, sleep};

pub use error::Error;

use crate::config::{self, WithoutRedis};
use crate::telemetry::Metrics;
use access::Access;
use error::Failure;
use redirect::Advice;
use request::Request;
use reservation::Reservation;
use server::{Server, Servers};
use shape::Shape;
use shard::Shard;
use standing::Guard;

/// So many times in a row a request is sent on at once.
const MOST_REDIRECTIONS: u32 = 4;
/// Before what was not done is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Redis with the Holdfast module, in any of its shapes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    shape: Arc<Shape>,
    deadline: Duration,
    /// Whether a server that fails again and again is left alone: a command of the command line
    /// ends with the first failure.
    is_guarded: bool,
    /// Whether it is not sold by servers that have never been found.
    doubts_unseen: bool,
}

impl Gateway {
    /// Prepares the connections; nothing is sent until the first call, so the servers may come
    /// later. Needs a runtime.
    ///
    /// # Errors
    /// When the URL is none, which `config check` would have said.
    pub fn open(config: &config::Redis) -> Result<Self, config::Error> {
        Self::with_guard(config, &Guard::none())
    }

    /// The same behind a circuit breaker. Somebody has to try whether Redis is back, see
    /// [`crate::reconcile::returning`]. Where orders are taken without Redis, others may have been
    /// taken before this process began, so that its counts are compared first.
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub fn open_guarded(
        config: &config::Redis,
        without_redis: WithoutRedis,
        metrics: &Metrics,
    ) -> Result<Self, config::Error> {
        let gateway = Self::with_guard(config, &Guard::new(config, without_redis, metrics))?;
        Ok(Self {
            is_guarded: true,
            doubts_unseen: without_redis == WithoutRedis::Database,
            ..gateway
        })
    }

    fn with_guard(config: &config::Redis, guard: &Guard) -> Result<Self, config::Error> {
        let url = config.parsed_url()?;
        let servers = Servers {
            access: Arc::new(Access::new(&url.credentials, url.db, config.tls()?)),
            config: Arc::new(config.clone()),
            trouble: Arc::default(),
        };
        Ok(Self {
            shape: Arc::new(Shape::open(url, &servers, guard)),
            deadline: Duration::from_millis(config.timeout_ms),
            is_guarded: false,
            doubts_unseen: false,
        })
    }

    /// The same connections without the breakers, for who tries whether Redis is back.
    pub fn unguarded(&self) -> Self {
        Self {
            is_guarded: false,
            ..self.clone()
        }
    }

    /// Sends one command and reads its answer as `T`, within the deadline.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.ask(Request::Command(command)).await
    }

    /// Sends commands that are done together or not at all, and reads their answers as `T`, within
    /// the deadline.
    async fn call_atomically<T: FromRedisValue>(&self, commands: &[Cmd]) -> Result<T, Error> {
        self.ask(Request::Transaction(commands)).await
    }

    /// Sends `INV.MRESERVE`; what it holds has been acknowledged by `redis.replica_acks` replicas.
    async fn reserve(&self, command: &Cmd) -> Result<Reservation, Error> {
        self.ask(Request::Reserve(command)).await
    }

    async fn ask<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, Error> {
        let answered = self.send(request, Instant::now() + self.deadline).await;
        T::from_redis_value(answered?).map_err(|error| Error::unknown(&request.name(), error))
    }

    /// Sends a request to the primary that answers for it, and again in a moment where it was not
    /// done, until `deadline`. What may have been done is never sent again.
    async fn send(&self, request: Request<'_>, deadline: Instant) -> Result<Value, Error> {
        let mut redirections = 0;
        // What is sent too late for an answer would make something unknown of what was not done.
        let last_at = deadline.checked_sub(self.deadline / 4).unwrap_or(deadline);
        loop {
            let is_last = Instant::now() >= last_at;
            let Some(shard) = self.shape.shard_of(request.key()) else {
                if is_last {
                    return Err(Error::not_done(
                        &request.name(),
                        "nobody answers for its key",
                    ));
                }
                self.shape.renewed(PAUSE).await;
                continue;
            };
            if self.is_guarded {
                shard.standing().admit()?;
            }
            let primary = shard.primary();
            let attempted = match &primary {
                Some(server) => self.attempt(server, request, deadline).await,
                None => Err(Failure::not_reached(&request.name(), "no primary is known")),
            };
            let advice = attempted.as_ref().err().map(|failure| &failure.advice);
            let is_last = Instant::now() >= last_at;
            match (advice, &primary) {
                (Some(Advice::Moved(to)), Some(asked)) if !is_last => {
                    redirections += 1;
                    // Two may each say that it is the other's, while they hand it over.
                    if !self.shape.moved(to, asked) || redirections > MOST_REDIRECTIONS {
                        self.shape.renewed(PAUSE).await;
                    }
                }
                (Some(Advice::Elsewhere), _) if !is_last => {
                    self.shape.suspect();
                    shard.changes_from(primary.as_ref(), PAUSE).await;
                }
                (Some(Advice::Later | Advice::Ask(_)), _) if !is_last => sleep(PAUSE).await,
                _ => {
                    let answered = attempted.map_err(|failure| failure.error);
                    if self.is_guarded {
                        shard.standing().note_answer(&answered);
                    }
                    return answered;
                }
            }
        }
    }

    /// Sends it to the server, or to where that one says that this one request belongs.
    async fn attempt(
        &self,
        server: &Server,
        request: Request<'_>,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let attempted = server.send(request, false, deadline).await;
        let importing = match &attempted {
            Err(failure) => match &failure.advice {
                Advice::Ask(to) => self.shape.importing(to, server),
                _ => None,
            },
            Ok(_) => None,
        };
        match importing {
            Some(importing) => importing.send(request, true, deadline).await,
            None => attempted,
        }
    }

    /// True where the keys of one order may lie on several servers.
    fn is_spread(&self) -> bool {
        matches!(*self.shape, Shape::Cluster(_))
    }

    /// Fails unless every server that answers for keys does, and has the module.
    pub async fn is_ready(&self) -> Result<(), Error> {
        let shards = self.shards();
        if shards.is_empty() {
            return self.answers_for("readiness").await;
        }
        let ready = shards.iter().map(|shard| self.is_ready_at(shard));
        join_all(ready).await.into_iter().collect()
    }

    /// Fails unless the server that answers for this shard does, and has the module.
    pub async fn is_ready_at(&self, shard: &Arc<Shard>) -> Result<(), Error> {
        let tag = self.tag_at(shard, "readiness")?;
        self.answers_for(&tag).await
    }

    async fn answers_for(&self, tag: &str) -> Result<(), Error> {
        let key = format!("inv:{{{tag}}}");
        self.call::<Value>(redis::cmd("INV.GET").arg(key))
            .await
            .map(drop)
    }

    /// Fails unless what is written to this shard would be taken, and writes nothing.
    pub async fn is_writable_at(&self, shard: &Arc<Shard>) -> Result<(), Error> {
        let key = format!("hold:{{{}}}", self.tag_at(shard, "readiness")?);
        self.call::<i64>(redis::cmd("DEL").arg(key)).await.map(drop)
    }

    /// A hash tag whose keys the shard answers for.
    fn tag_at(&self, shard: &Arc<Shard>, name: &str) -> Result<String, Error> {
        let tag = self.shape.tag_at(shard, name);
        tag.ok_or_else(|| Error::not_done("INV.GET", "the shard answers for nothing any more"))
    }

    /// The server's `maxmemory-policy`.
    pub async fn eviction_policy(&self) -> Result<String, Error> {
        let info: redis::InfoDict = self.call(redis::cmd("INFO").arg("memory")).await?;
        Ok(info.get("maxmemory_policy").unwrap_or_default())
    }

    /// All shards that are known now.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        self.shape.shards()
    }

    /// Some shard and its primary, for what is told everywhere.
    fn any_primary(&self) -> Result<(Arc<Shard>, Arc<Server>), Error> {
        let mut shards = self.shape.shards();
        shards.sort_by_key(|shard| shard.standing().is_away());
        let shards = shards.into_iter();
        let mut known = shards.filter_map(|shard| shard.primary().map(|server| (shard, server)));
        known
            .next()
            .ok_or_else(|| Error::not_done("SUBSCRIBE", "no primary is known"))
    }
}
