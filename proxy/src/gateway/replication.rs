//! Holds that replicas have: with `redis.replica_acks` a hold counts only when so many replicas
//! have acknowledged it, so that a failover to one of them does not forget it.
//!
//! `WAIT` keeps its connection waiting and counts the writes of that connection alone. So holds
//! have a connection of their own, and go in batches: while one `WAIT` is under way the next holds
//! gather, and one `WAIT` behind them covers all.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue, Value};
use tokio::sync::{mpsc, oneshot};

use super::inventory::{Reservation, Word};
use super::{Error, Gateway, classify, manager, not_done_because, unknown};
use crate::config;

/// Holds that may wait for their batch; further ones are refused.
const QUEUE: usize = 4096;
/// Holds of one batch, so that a long queue is not one long silence.
const BATCH: usize = 256;

/// The way of holds to the primary and its replicas. Cheap to clone.
#[derive(Clone)]
pub(super) struct Replication {
    /// How many replicas must have a hold.
    acks: u32,
    /// How long a hold may take: the batch under way, and its own.
    patience: Duration,
    queue: mpsc::Sender<Reserve>,
}

/// One command, and where its answer goes.
struct Reserve {
    command: Cmd,
    answer: oneshot::Sender<Result<Acknowledged, Error>>,
}

/// A command's answer, and how many replicas have what it wrote.
struct Acknowledged {
    value: Value,
    replicas: u32,
}

impl Replication {
    /// The way that `redis.replica_acks` asks for, if any, with its connection; nothing is sent
    /// until the first hold.
    pub(super) fn open(
        client: &redis::Client,
        config: &config::Redis,
    ) -> Result<Option<Self>, redis::RedisError> {
        if config.replica_acks == 0 {
            return Ok(None);
        }
        let deadline = Duration::from_millis(config.timeout_ms + config.replica_acks_timeout_ms);
        let batches = Batches {
            connection: manager(client, deadline)?,
            deadline,
            acks: config.replica_acks,
            timeout_ms: config.replica_acks_timeout_ms,
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        // Ends when the last gateway is gone.
        tokio::spawn(batches.run(waiting));
        Ok(Some(Self {
            acks: config.replica_acks,
            patience: 2 * deadline,
            queue,
        }))
    }

    async fn reserve(&self, command: &Cmd) -> Result<Acknowledged, Error> {
        let (answer, answered) = oneshot::channel();
        let reserve = Reserve {
            command: command.clone(),
            answer,
        };
        if self.queue.try_send(reserve).is_err() {
            let cause = "too many holds wait for replicas";
            return Err(not_done_because(command, cause));
        }
        match tokio::time::timeout(self.patience, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unknown(command, "the process is stopping")),
            Err(_) => Err(unknown(command, "too many holds wait for replicas")),
        }
    }
}

impl Gateway {
    /// Sends `INV.MRESERVE`; what it holds has been acknowledged by `redis.replica_acks` replicas.
    pub(super) async fn reserve(&self, command: &Cmd) -> Result<Reservation, Error> {
        let Some(replication) = &self.replication else {
            return self.call(command).await;
        };
        self.admit()?;
        let Acknowledged { value, replicas } = replication.reserve(command).await?;
        let reservation = Reservation::from_redis_value(value)
            .map_err(|error| unknown(command, &error.to_string()))?;
        // A refusal wrote nothing that a failover could lose.
        if reservation.word == Word::Reserved && replicas < replication.acks {
            return Err(Error::NotReplicated {
                replicas,
                wanted: replication.acks,
            });
        }
        Ok(reservation)
    }
}

/// Who sends the batches.
struct Batches {
    connection: ConnectionManager,
    /// Of one batch.
    deadline: Duration,
    acks: u32,
    timeout_ms: u64,
}

impl Batches {
    async fn run(mut self, mut waiting: mpsc::Receiver<Reserve>) {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            // Who has given up has its hold released, and needs none.
            batch.retain(|reserve: &Reserve| !reserve.answer.is_closed());
            if batch.is_empty() {
                continue;
            }
            let mut pipeline = redis::Pipeline::with_capacity(batch.len() + 1);
            for reserve in &batch {
                pipeline.add_command(reserve.command.clone());
            }
            pipeline.cmd("WAIT").arg(self.acks).arg(self.timeout_ms);
            let sent = self
                .connection
                .send_packed_commands(&pipeline, 0, batch.len() + 1);
            let answers = tokio::time::timeout(self.deadline, sent).await;
            give(batch.drain(..), answers);
        }
    }
}

/// Gives each of a batch its answer. Whoever does not listen any more has gone.
fn give(
    batch: impl Iterator<Item = Reserve>,
    answers: Result<Result<Vec<Value>, redis::RedisError>, tokio::time::error::Elapsed>,
) {
    let mut answers = match answers {
        Ok(Ok(answers)) => answers,
        Ok(Err(error)) => {
            for Reserve { command, answer } in batch {
                let _gone = answer.send(Err(classify(&command, &error)));
            }
            return;
        }
        Err(_) => {
            for Reserve { command, answer } in batch {
                let cause = "no answer within redis.timeout_ms";
                let _gone = answer.send(Err(unknown(&command, cause)));
            }
            return;
        }
    };
    // The last answer is that of WAIT; without one nothing is acknowledged.
    let replicas = match answers.pop() {
        Some(Value::Int(replicas)) => u32::try_from(replicas).unwrap_or(0),
        _ => 0,
    };
    for (Reserve { command, answer }, value) in batch.zip(answers) {
        let acknowledged = value
            .extract_error()
            .map(|value| Acknowledged { value, replicas })
            .map_err(|error| classify(&command, &error));
        let _gone = answer.send(acknowledged);
    }
}
