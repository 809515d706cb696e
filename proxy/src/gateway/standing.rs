//! Whether Redis is used at all, and whether its counts are sold by.
//!
//! A Redis that fails again and again is left alone: every call is refused at once, and one trial
//! after the other finds out whether it is back. What it counts then may be too high: it can have
//! lost its last writes, and orders may have been taken without it. So nothing is sold by its counts
//! before all of them have been compared with MySQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Error, Gateway};
use crate::breaker::{Breaker, Limits, Outcome};
use crate::config::{self, WithoutRedis};
use crate::telemetry::Metrics;

/// More often than a breaker opens.
const NEVER: u64 = u64::MAX;

/// What is known of Redis, shared by all clones of a gateway.
#[derive(Debug)]
pub(super) struct Standing {
    breaker: Breaker,
    /// Whether it has ever answered.
    has_answered: AtomicBool,
    /// After which opening of the breaker all counts have been compared.
    compared_after: AtomicU64,
}

impl Gateway {
    /// This gateway behind a circuit breaker. Somebody has to try whether Redis is back, see
    /// [`crate::reconcile::returning`]. Where orders are taken without Redis, others may have been
    /// taken before this process began, so that its counts are compared first.
    pub fn guarded(
        self,
        config: &config::Redis,
        without_redis: WithoutRedis,
        metrics: &Metrics,
    ) -> Self {
        let limits = Limits {
            failures: config.breaker_failures,
            open_for: Duration::from_millis(config.breaker_open_ms),
        };
        let standing = Standing {
            breaker: Breaker::new("redis", limits, metrics.redis_breaker_open.clone()),
            has_answered: AtomicBool::new(false),
            compared_after: AtomicU64::new(match without_redis {
                WithoutRedis::Refuse => 0,
                WithoutRedis::Database => NEVER,
            }),
        };
        Self {
            standing: Some(Arc::new(standing)),
            ..self
        }
    }

    /// The same connection without the breaker, for who tries whether Redis is back.
    pub fn unguarded(&self) -> Self {
        Self {
            standing: None,
            ..self.clone()
        }
    }

    /// True while calls are refused at once.
    pub fn is_away(&self) -> bool {
        let standing = self.standing.as_ref();
        standing.is_some_and(|standing| standing.breaker.is_open())
    }

    /// True once Redis has answered.
    pub fn has_answered(&self) -> bool {
        let standing = self.standing.as_ref();
        standing.is_some_and(|standing| standing.has_answered.load(Ordering::Relaxed))
    }

    /// True while orders may be sold by what Redis counts.
    pub fn sells(&self) -> bool {
        let Some(standing) = &self.standing else {
            return true;
        };
        let (openings, is_open) = standing.breaker.openings();
        !is_open && standing.compared_after.load(Ordering::Acquire) == openings
    }

    /// True when it is time to try whether Redis is back; what comes of it is to be noted.
    pub fn admits_trial(&self) -> bool {
        let standing = self.standing.as_ref();
        standing.is_some_and(|standing| standing.breaker.admits())
    }

    /// Notes what came of a trial.
    pub fn note_trial(&self, outcome: Outcome) {
        if let Some(standing) = &self.standing {
            standing.breaker.note(outcome);
        }
    }

    /// How often Redis was given up so far.
    pub fn openings(&self) -> u64 {
        let standing = self.standing.as_ref();
        standing.map_or(0, |standing| standing.breaker.openings().0)
    }

    /// Has its counts sold by again, unless it was given up again after `openings`.
    pub fn note_compared(&self, openings: u64) {
        if let Some(standing) = &self.standing {
            standing.compared_after.store(openings, Ordering::Release);
        }
    }

    pub(super) fn admit(&self) -> Result<(), Error> {
        if self.is_away() {
            Err(Error::Away)
        } else {
            Ok(())
        }
    }

    /// An error of the server is an answer too, except that it is still loading.
    pub(super) fn note<T>(&self, answered: &Result<T, Error>) {
        let Some(standing) = &self.standing else {
            return;
        };
        let has_failed = matches!(answered, Err(Error::NotDone { .. } | Error::Unknown { .. }));
        if has_failed {
            return standing.breaker.note_unless_open(Outcome::Failed);
        }
        standing.breaker.note_unless_open(Outcome::Answered);
        standing.has_answered.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A gateway to where nothing listens.
    fn gateway(without_redis: WithoutRedis) -> Gateway {
        let settings = serde_json::json!({
            "url": "redis://127.0.0.1:1",
            "breaker_failures": 3,
            "breaker_open_ms": 1,
        });
        let redis: config::Redis = serde_json::from_value(settings).expect("settings");
        let gateway = Gateway::open(&redis).expect("a URL");
        gateway.guarded(&redis, without_redis, &Metrics::new())
    }

    #[tokio::test]
    async fn a_redis_that_is_not_reached_is_left_alone_and_sells_again_when_it_was_compared() {
        let gateway = gateway(WithoutRedis::Refuse);
        assert!(gateway.sells() && !gateway.is_away());
        for _ in 0..3 {
            let failed = gateway.is_ready().await;
            assert!(!matches!(failed, Ok(()) | Err(Error::Away)), "{failed:?}");
        }
        assert!(gateway.is_away() && !gateway.sells());
        assert!(matches!(gateway.is_ready().await, Err(Error::Away)));
        // Who tries is let through the breaker, and nobody else.
        let tried = gateway.unguarded().is_ready().await;
        assert!(!matches!(tried, Ok(()) | Err(Error::Away)), "{tried:?}");

        let opening = gateway.openings();
        let given_up = Instant::now();
        while !gateway.admits_trial() {
            assert!(given_up.elapsed() < Duration::from_secs(10), "no trial");
            tokio::task::yield_now().await;
        }
        gateway.note_trial(Outcome::Answered);
        assert!(!gateway.is_away() && !gateway.sells());
        gateway.note_compared(opening - 1);
        assert!(!gateway.sells(), "compared before it was given up");
        gateway.note_compared(opening);
        assert!(gateway.sells());
    }

    #[tokio::test]
    async fn where_orders_are_taken_without_redis_its_counts_are_compared_before_they_are_sold_by()
    {
        let gateway = gateway(WithoutRedis::Database);
        assert!(!gateway.is_away() && !gateway.sells());
        gateway.note_compared(gateway.openings());
        assert!(gateway.sells());
    }
}
