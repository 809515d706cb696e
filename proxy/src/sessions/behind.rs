//! Writes behind what requests do to sessions, so that none of them waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Sessions;

/// How often it is written: the most that the copy is behind, while MySQL answers.
const INTERVAL: Duration = Duration::from_secs(1);
/// Sessions that may wait to be written; the time of further ones stays as it was copied last.
const MOST: usize = 200_000;
/// Redis is told again of the sessions that ended within so long: a proxy that could not reach it may
/// have ended them.
const TOLD_AGAIN: Duration = Duration::from_secs(3);
/// How often rows are removed that are of no more use.
const SWEEP: Duration = Duration::from_secs(60);

/// The sessions that were touched since they were written last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Touches {
    waiting: Arc<Mutex<HashMap<Uuid, Idle>>>,
}

/// How long a session had left, and when.
#[derive(Debug, Clone, Copy)]
struct Idle {
    left_ms: i64,
    at: Instant,
}

impl Touches {
    /// A session has `idle_ms` left from now on.
    pub fn note(&self, session: Uuid, idle_ms: i64) {
        let mut waiting = self.waiting();
        if waiting.len() < MOST || waiting.contains_key(&session) {
            let at = Instant::now();
            let idle = Idle {
                left_ms: idle_ms,
                at,
            };
            waiting.insert(session, idle);
        }
    }

    /// Those that wait, sorted, with the time that each has left now, ms; they wait no more.
    fn take(&self) -> Vec<(Uuid, i64)> {
        let taken = std::mem::take(&mut *self.waiting());
        let left = |idle: Idle| {
            let since = i64::try_from(idle.at.elapsed().as_millis()).unwrap_or(i64::MAX);
            idle.left_ms.saturating_sub(since)
        };
        let taken = taken.into_iter().map(|(id, idle)| (id, left(idle)));
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable();
        taken
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Idle>> {
        // Nothing in here panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Writes behind until `stop`, and then what is left.
    pub async fn write_behind(self, stop: CancellationToken) {
        let mut swept = Instant::now();
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(INTERVAL) => false,
            };
            self.write_touches().await;
            if is_last {
                return;
            }
            if !self.gateway.is_away_everywhere() {
                self.tell_of_late_ends().await;
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                let removed = self
                    .store
                    .answered(self.store.remove_dead_session_copies())
                    .await;
                if let Err(error) = removed {
                    tracing::warn!(%error, "copies of sessions that ended long ago could not be removed");
                }
            }
        }
    }

    async fn write_touches(&self) {
        let touched = self.touches.take();
        let written = self.store.answered(self.store.copy_touches(&touched)).await;
        if let Err(error) = written {
            // Whoever comes again is written then; until then its copy ends a little early.
            tracing::warn!(%error, sessions = touched.len(), "requests of sessions were not copied");
        }
    }

    async fn tell_of_late_ends(&self) {
        let ended = self.store.sessions_ended_within(TOLD_AGAIN).await;
        let told = match ended {
            Ok(ended) => self.tell(&self.gateway, &ended).await.map_err(Into::into),
            Err(error) => Err(super::Error::from(error)),
        };
        if let Err(error) = told {
            tracing::debug!(%error, "redis was not told again of sessions that ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_requests_the_last_is_written_once() {
        let touches = Touches::default();
        let [first, second] = [1, 2].map(Uuid::from_u128);
        touches.note(second, 90_000);
        touches.note(first, 1_000);
        touches.note(first, 60_000);
        let taken = touches.take();
        let ids: Vec<Uuid> = taken.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [first, second]);
        assert!((59_000..=60_000).contains(&taken[0].1), "{taken:?}");
        assert!(touches.take().is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let touches = Touches::default();
        for id in 0..=MOST as u128 {
            touches.note(Uuid::from_u128(id), 1);
        }
        assert_eq!(touches.take().len(), MOST);
    }
}
