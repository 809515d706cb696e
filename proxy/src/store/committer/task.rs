//! What happens to requests that were gathered: they are written as one batch, and answered.

use std::sync::Arc;
use std::time::Duration;

use sqlx::MySqlConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::Error;
use super::super::primary::{Primary, Target};
use super::pieces::fitting;
use super::queue::{Answer, Counted, Waiting, Work};
use super::trouble::{self, Trouble};

/// How long a batch is tried before its orders are told that nobody knows. Also how long an order
/// may wait for its batch to begin.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest and the longest pause before the next try.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often duplicates may turn up that a look before did not find: each time, somebody else wrote
/// them in between.
const SURPRISES: u32 = 3;
/// The most order lines in one transaction, of which each event has them all.
const LONGEST: usize = 8_192;

/// Writes one kind of transaction, on a connection of its own.
pub struct Task<W: Work> {
    work: W,
    primary: Primary,
    connection: Option<(Target, MySqlConnection)>,
    counted: Counted,
}

impl<W: Work> Task<W> {
    /// A task that has not connected yet.
    pub fn new(work: W, primary: Primary, counted: Counted) -> Self {
        Self {
            work,
            primary,
            connection: None,
            counted,
        }
    }

    /// Works until the last way to it is gone.
    pub async fn run(mut self, mut receiver: mpsc::Receiver<Waiting<W>>, max_batch: usize) {
        let mut gathered = Vec::with_capacity(max_batch);
        // Whatever arrived during the last transaction is there at once.
        while receiver.recv_many(&mut gathered, max_batch).await > 0 {
            let length = i64::try_from(gathered.len()).unwrap_or(i64::MAX);
            self.counted.queue_length.dec_by(length);
            while !gathered.is_empty() {
                let weights = gathered.iter().map(|one| W::weight(&one.request));
                let fitting = fitting(weights, LONGEST);
                self.finish(gathered.drain(..fitting).collect()).await;
            }
        }
    }

    /// Writes a batch and answers everybody in it, within [`PATIENCE`]. When it fails because of one
    /// of them, it is cut in half until that one stands alone.
    async fn finish(&mut self, batch: Vec<Waiting<W>>) {
        let (batch, late): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|one| one.since.elapsed() < PATIENCE);
        for one in late {
            self.counted.shed.inc();
            tell::<W>(one.answer, Err(Error::Overloaded));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut halves = vec![batch];
        while let Some(mut batch) = halves.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.write_patiently(&batch, deadline).await {
                Ok(answers) => {
                    self.counted.batch_orders.observe(batch.len() as f64);
                    for (one, answer) in batch.into_iter().zip(answers) {
                        tell::<W>(one.answer, Ok(answer));
                    }
                }
                Err(error) if batch.len() > 1 && trouble::of(&error) != Trouble::Passing => {
                    tracing::warn!(%error, orders = batch.len(), "a batch that cannot be written is cut in half");
                    halves.push(batch.split_off(batch.len() / 2));
                    halves.push(batch);
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for one in batch {
                        tell::<W>(one.answer, Err(Error::Batch(error.clone())));
                    }
                }
            }
        }
    }

    async fn write_patiently(
        &mut self,
        batch: &[Waiting<W>],
        deadline: Instant,
    ) -> Result<Vec<W::Answer>, Error> {
        let requests: Vec<_> = batch.iter().map(|one| &one.request).collect();
        let (mut look, mut surprises, mut pause) = (false, 0, PAUSES.0);
        loop {
            let error = match timeout_at(deadline, self.attempt(&requests, look)).await {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(error)) => error,
                Err(_elapsed) => Error::Unanswered,
            };
            // The server rolls back what this connection began, or has committed it.
            self.connection = None;
            self.primary.look_again();
            look = true;
            match trouble::of(&error) {
                Trouble::Duplicate if surprises < SURPRISES => surprises += 1,
                Trouble::Passing if Instant::now() + pause < deadline => {
                    tracing::debug!(%error, orders = batch.len(), "a batch is tried again");
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                _ => return Err(error),
            }
        }
    }

    async fn attempt(
        &mut self,
        requests: &[&W::Request],
        look: bool,
    ) -> Result<Vec<W::Answer>, Error> {
        let is_left = |(target, _): &(Target, _)| target.is_left();
        if self.connection.as_ref().is_none_or(is_left) {
            let target = self.primary.target().await?;
            let connection = target.answers(connect(&target)).await?;
            self.connection = Some((target, connection));
        }
        let Some((target, connection)) = &mut self.connection else {
            return Err(Error::Unanswered);
        };
        target
            .answers(self.work.write(connection, requests, look))
            .await
    }
}

/// Rows that are looked for and not there must not be locked against others, nor rows that a scan
/// merely passes. Who finds a row locked shall not keep a whole batch waiting for it.
async fn connect(target: &Target) -> Result<MySqlConnection, Error> {
    let mut connection = target.connect().await?;
    for setting in [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION innodb_lock_wait_timeout = 1",
    ] {
        sqlx::query(setting).execute(&mut connection).await?;
    }
    Ok(connection)
}

fn tell<W: Work>(answer: oneshot::Sender<Answer<W>>, outcome: Answer<W>) {
    // A failed send only means that nobody waits any more.
    let _gone = answer.send(outcome);
}
