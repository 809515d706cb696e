//! One Redis process, by its address: its connection, and the way of holds to its replicas.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::PubSub;
use redis::{PushInfo, RedisResult, Value};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::access::{Access, Connected};
use super::connection::Connection;
use super::error::{Error, Failure};
use super::redirect::Advice;
use super::replication::Replication;
use super::request::Request;
use crate::config::{self, Address};

/// One server, whatever it is at the moment.
#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    access: Arc<Access>,
    deadline: Duration,
    trouble: Arc<Notify>,
    connection: Connection,
    /// Only where `redis.replica_acks` asks for it.
    replication: Option<Replication>,
}

/// What servers are made of, whichever are found.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    pub(super) access: Arc<Access>,
    pub(super) config: Arc<config::Redis>,
    /// Told when a server was lost, not reached or silent, or says that another is to be asked.
    pub(super) trouble: Arc<Notify>,
}

impl Servers {
    /// The server at an address; nothing is sent until the first call. Needs a runtime.
    pub(super) fn at(&self, address: Address) -> Arc<Server> {
        let deadline = Duration::from_millis(self.config.timeout_ms);
        let connect = |patience| {
            let trouble = self.trouble.clone();
            Connection::new(address.clone(), self.access.clone(), patience, trouble)
        };
        Arc::new(Server {
            connection: connect(deadline),
            replication: Replication::open(&self.config, connect),
            access: self.access.clone(),
            deadline,
            trouble: self.trouble.clone(),
            address,
        })
    }
}

impl Server {
    /// Where it listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request once, and waits for the answer until `deadline`.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        asking: bool,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let answered = match (request, &self.replication) {
            // What has just moved here is not waited for: the next hold of it is.
            (Request::Reserve(command), Some(replication)) if !asking => {
                replication.reserve(command).await
            }
            _ => self.connection.send(request, asking, deadline).await,
        };
        let is_wrong = |failure: &Failure| failure.advice == Advice::Elsewhere;
        if answered.as_ref().is_err_and(is_wrong) {
            self.trouble.notify_one();
        }
        answered
    }

    /// A connection of its own for subscriptions, with what `prepare` does on it first.
    pub(super) async fn subscribe<T, Prepared: Future<Output = RedisResult<T>>>(
        &self,
        prepare: impl FnOnce(PubSub) -> Prepared,
    ) -> Result<T, Error> {
        subscribed(self.deadline, async {
            prepare(self.access.subscriptions(&self.address).await?).await
        })
        .await
    }

    /// A connection of its own, where `pushed` is told what comes between the answers.
    pub(super) async fn listen(
        &self,
        pushed: UnboundedSender<PushInfo>,
    ) -> Result<Connected, Error> {
        subscribed(self.deadline, self.access.listen(&self.address, pushed)).await
    }
}

/// The answer to a subscription, within a deadline.
pub(super) async fn subscribed<T>(
    deadline: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer.map_err(|error| Failure::of("SUBSCRIBE", &error).error),
        Err(_) => Err(Error::unknown("SUBSCRIBE", "no answer in time")),
    }
}
