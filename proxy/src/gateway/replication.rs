//! Holds that replicas have: with `redis.replica_acks` a hold counts only when so many replicas
//! have acknowledged it, so that a failover to one of them does not forget it.
//!
//! `WAIT` keeps its connection waiting and counts the writes of that connection alone. So holds
//! have a connection of their own, and go in batches: while one `WAIT` is under way the next holds
//! gather, and one `WAIT` behind them covers all.

use std::time::Duration;

use redis::{Cmd, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::{Error, Failure};
use super::redirect::Advice;
use super::request::Request;
use crate::config;

/// Holds that may wait for their batch; further ones are refused.
const QUEUE: usize = 4096;
/// Holds of one batch, so that a long queue is not one long silence.
const BATCH: usize = 256;

/// The way of holds to the primary and its replicas. Cheap to clone.
#[derive(Debug, Clone)]
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
    answer: oneshot::Sender<Result<Acknowledged, Failure>>,
}

/// A command's answer, and how many replicas have what it wrote.
struct Acknowledged {
    value: Value,
    replicas: u32,
}

impl Replication {
    /// The way that `redis.replica_acks` asks for, if any, on a connection of its own that may take
    /// so long for an answer. Needs a runtime.
    pub(super) fn open(
        config: &config::Redis,
        connect: impl FnOnce(Duration) -> Connection,
    ) -> Option<Self> {
        if config.replica_acks == 0 {
            return None;
        }
        let deadline = Duration::from_millis(config.timeout_ms + config.replica_acks_timeout_ms);
        let batches = Batches {
            connection: connect(deadline),
            deadline,
            acks: config.replica_acks,
            timeout_ms: config.replica_acks_timeout_ms,
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        // Ends with the server.
        tokio::spawn(batches.run(waiting));
        Some(Self {
            acks: config.replica_acks,
            patience: 2 * deadline,
            queue,
        })
    }

    /// Sends a hold, and answers when the replicas have it, or it is refused.
    pub(super) async fn reserve(&self, command: &Cmd) -> Result<Value, Failure> {
        let name = Request::Reserve(command).name();
        let (answer, answered) = oneshot::channel();
        let reserve = Reserve {
            command: command.clone(),
            answer,
        };
        if self.queue.try_send(reserve).is_err() {
            let cause = "too many holds wait for replicas";
            return Err(Failure::not_reached(&name, cause));
        }
        let Acknowledged { value, replicas } =
            match tokio::time::timeout(self.patience, answered).await {
                Ok(Ok(answer)) => answer?,
                Ok(Err(_)) => return Err(Failure::unknown(&name, "the process is stopping")),
                Err(_) => {
                    let cause = "too many holds wait for replicas";
                    return Err(Failure::unknown(&name, cause));
                }
            };
        if is_held(&value) && replicas < self.acks {
            let wanted = self.acks;
            return Err(Failure {
                error: Error::NotReplicated { replicas, wanted },
                advice: Advice::Final,
            });
        }
        Ok(value)
    }
}

/// A refusal wrote nothing that a failover could lose.
fn is_held(answer: &Value) -> bool {
    let Value::Array(parts) = answer else {
        return false;
    };
    match parts.first() {
        Some(Value::BulkString(word)) => word == b"RESERVED",
        Some(Value::SimpleString(word)) => word == "RESERVED",
        _ => false,
    }
}

/// Who sends the batches.
struct Batches {
    connection: Connection,
    /// Of one batch.
    deadline: Duration,
    acks: u32,
    timeout_ms: u64,
}

impl Batches {
    async fn run(self, mut waiting: mpsc::Receiver<Reserve>) {
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
            let deadline = Instant::now() + self.deadline;
            let answers =
                self.connection
                    .run("INV.MRESERVE", deadline, |mut connection| async move {
                        let count = pipeline.len();
                        connection.send_packed_commands(&pipeline, 0, count).await
                    });
            give(batch.drain(..), answers.await);
        }
    }
}

/// Gives each of a batch its answer. Whoever does not listen any more has gone.
fn give(batch: impl Iterator<Item = Reserve>, answers: Result<Vec<Value>, Failure>) {
    let mut answers = match answers {
        Ok(answers) => answers,
        Err(failure) => {
            for Reserve { answer, .. } in batch {
                let _gone = answer.send(Err(failure.clone()));
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
        let name = Request::Command(&command).name();
        let acknowledged = value
            .extract_error()
            .map(|value| Acknowledged { value, replicas })
            .map_err(|error| Failure::of(&name, &error));
        let _gone = answer.send(acknowledged);
    }
}
