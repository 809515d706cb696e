//! The way to a task: a bounded queue of requests, each with somebody who waits for its answer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use sqlx::MySqlConnection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::Error;
use super::super::primary::Primary;
use super::task::Task;
use crate::config;
use crate::telemetry::metrics::Metrics;

/// One kind of transaction.
pub trait Work: Send + 'static {
    /// What is asked for.
    type Request: Send + Sync + 'static;
    /// What became of it.
    type Answer: Send + 'static;

    /// How many order lines it has.
    fn weight(request: &Self::Request) -> usize;

    /// Writes all of the batch in one transaction and answers one each, in order. `look` says that
    /// some of it may be written already.
    fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Self::Request],
        look: bool,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Error>> + Send;
}

/// The way to the task.
pub struct Queue<W: Work> {
    sender: mpsc::Sender<Waiting<W>>,
    counted: Counted,
}

/// A request, and who waits for its answer.
pub struct Waiting<W: Work> {
    pub request: W::Request,
    pub answer: oneshot::Sender<Answer<W>>,
    pub since: Instant,
}

/// What queue and task count.
#[derive(Clone)]
pub struct Counted {
    pub batch_orders: Histogram,
    pub queue_length: Gauge,
    pub shed: Counter,
}

/// Starts the task of a kind of work.
pub fn start<W: Work>(
    work: W,
    primary: &Primary,
    config: &config::Commit,
    metrics: &Metrics,
) -> Queue<W> {
    let counted = Counted {
        batch_orders: metrics.commit_batch_orders.clone(),
        queue_length: metrics.commit_queue_length.clone(),
        shed: metrics.commit_shed.clone(),
    };
    let (sender, receiver) = mpsc::channel(config.queue_length);
    let task = Task::new(work, primary.clone(), counted.clone());
    tokio::spawn(task.run(receiver, config.max_batch));
    Queue { sender, counted }
}

impl<W: Work> Clone for Queue<W> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            counted: self.counted.clone(),
        }
    }
}

impl<W: Work> Queue<W> {
    /// Has it written, or turns it away at once when the queue is full.
    pub async fn try_write(&self, request: W::Request) -> Result<W::Answer, Error> {
        let (waiting, answer) = waiting(request);
        self.counted.queue_length.inc();
        if let Err(refused) = self.sender.try_send(waiting) {
            self.counted.queue_length.dec();
            return Err(match refused {
                TrySendError::Full(_) => {
                    self.counted.shed.inc();
                    Error::Overloaded
                }
                TrySendError::Closed(_) => Error::Unanswered,
            });
        }
        answer.await.map_err(|_ended| Error::Unanswered)?
    }

    /// Has it written, and waits for room when the queue is full.
    pub async fn write(&self, request: W::Request) -> Result<W::Answer, Error> {
        let (waiting, answer) = waiting(request);
        let Ok(room) = self.sender.reserve().await else {
            return Err(Error::Unanswered);
        };
        // Counted only now: who waits for room may give up.
        self.counted.queue_length.inc();
        room.send(waiting);
        answer.await.map_err(|_ended| Error::Unanswered)?
    }
}

/// What whoever waits is told.
pub type Answer<W> = Result<<W as Work>::Answer, Error>;

fn waiting<W: Work>(request: W::Request) -> (Waiting<W>, oneshot::Receiver<Answer<W>>) {
    let (answer, receiver) = oneshot::channel();
    let since = Instant::now();
    let waiting = Waiting {
        request,
        answer,
        since,
    };
    (waiting, receiver)
}
