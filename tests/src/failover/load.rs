//! A steady load: each kind of request at its rate, sent when it is due whatever became of those before it (an open
//! loop), and repeated at the next proxy where that is safe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::crowd::{Crowd, Request};
use super::fate::{Next, Seen, fate, next, sold, words};
use super::kind::Kind;
use super::timeline::{Attempt, Outcome, STEP};
use crate::faults::accounts::Ending;
use crate::shop::send;

/// How long a client goes on asking.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the second attempt, doubled with each further one. The first repetition comes at once where nobody
/// answered: the other proxy may.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// One load, from its beginning to its end.
#[derive(Debug)]
pub struct Load {
    crowd: Arc<Crowd>,
    targets: Vec<String>,
    began: Instant,
    is_over: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Load {
    /// A load of these proxies, or of the balancer before them, that begins now.
    pub fn new(crowd: Arc<Crowd>, targets: Vec<String>) -> Arc<Load> {
        Arc::new(Load {
            crowd,
            targets,
            began: Instant::now(),
            is_over: AtomicBool::new(false),
            outcomes: Mutex::default(),
        })
    }

    /// How long it has lasted.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What has become of the requests that are over.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.lock().clone()
    }

    /// No further request becomes due.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Sends everything that is due until the load is ended, and waits for what became of it.
    pub async fn run(self: Arc<Self>) -> Result<()> {
        let mut kinds = JoinSet::new();
        for (place, kind) in (0..).zip(Kind::ALL) {
            // Apart from each other, so that a fault does not meet a request of each kind, or none.
            let phase = STEP / Kind::ALL.len() as u32 * place;
            kinds.spawn(Arc::clone(&self).send_all(kind, phase));
        }
        while let Some(sent) = kinds.join_next().await {
            sent??;
        }
        Ok(())
    }

    async fn send_all(self: Arc<Self>, kind: Kind, phase: Duration) -> Result<()> {
        let mut on_their_way = JoinSet::new();
        let interval = Duration::from_secs(1) / kind.rate();
        for number in 0.. {
            let due = phase + interval * number;
            sleep_until((self.began + due).into()).await;
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            on_their_way.spawn(Arc::clone(&self).one(kind, number as usize, due));
            while let Some(ended) = on_their_way.try_join_next() {
                ended??;
            }
        }
        while let Some(ended) = on_their_way.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// One request, until its client knows what became of it or gives up.
    async fn one(self: Arc<Self>, kind: Kind, number: usize, due: Duration) -> Result<()> {
        let wanted = self.crowd.request(kind, number);
        let mut request = wanted.clone();
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut pause = PAUSE;
        loop {
            let target = &self.targets[(number + attempts.len()) % self.targets.len()];
            let sent = Instant::now();
            let seen = ask(&request, target).await;
            attempts.push(Attempt {
                fate: fate(kind, &seen),
                ended: self.began.elapsed(),
                words: words(&seen),
            });
            if let Some(id) = sold(kind, &seen) {
                self.crowd
                    .accounts
                    .note(Ending::Sold(id.to_owned()), sent)?;
            }
            request = match next(kind, &seen) {
                Next::Over => break,
                Next::Again => wanted.clone(),
                Next::LookAt(order) => wanted.look_at(&order),
            };
            if self.began.elapsed() > due + PATIENCE {
                break;
            }
            if attempts.len() > 1 || matches!(seen, Seen::Answer(_)) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        if let [first, ..] = &attempts[..]
            && let [.., last] = &attempts[..]
        {
            self.lock().push(Outcome {
                kind,
                subject: wanted.subject,
                due,
                first: first.clone(),
                last: last.clone(),
                attempts: attempts.len() as u32,
            });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a request once.
async fn ask(request: &Request<'_>, url: &str) -> Seen {
    match send(request.to(url)).await {
        Ok(reply) => Seen::Answer(Box::new(reply)),
        Err(error) => match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_connect() => Seen::NotSent,
            _ => Seen::NoAnswer,
        },
    }
}
