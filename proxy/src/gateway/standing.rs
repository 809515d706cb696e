//! Whether a shard of Redis is used at all, and whether its counts are sold by.
//!
//! One that fails again and again is left alone: every call is refused at once, and one trial
//! after the other finds out whether it is back. What it counts then may be too high: it can have
//! lost its last writes, and orders may have been taken without it. So nothing is sold by its counts
//! before all of them have been compared with MySQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::inventory::{self, Line};
use super::shard::Shard;
use super::{Error, Gateway, sessions};
use crate::breaker::{Breaker, Limits, Outcome};
use crate::catalogue::Sku;
use crate::config::{self, Address, WithoutRedis};
use crate::telemetry::{Metrics, Primaries};

/// More often than a breaker opens.
const NEVER: u64 = u64::MAX;

/// What every shard's standing begins with.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    limits: Limits,
    compared_after: u64,
    open: Gauge,
    pub(super) shown: Shown,
}

/// Where it is shown who is the primary.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    switches: Counter,
    primaries: Primaries,
}

impl Shown {
    /// Another server is the primary.
    pub(super) fn change(&self, from: Option<Address>, to: Option<Address>) {
        if from == to {
            return;
        }
        let label = |address: &Address| [("server", address.to_string())];
        if from.is_some() && to.is_some() {
            self.switches.inc();
        }
        if let Some(from) = &from {
            self.primaries.remove(&label(from));
        }
        if let Some(to) = &to {
            self.primaries.get_or_create(&label(to)).set(1);
        }
    }
}

impl Guard {
    pub(super) fn new(
        config: &config::Redis,
        without_redis: WithoutRedis,
        metrics: &Metrics,
    ) -> Self {
        Self {
            limits: Limits {
                failures: config.breaker_failures,
                open_for: Duration::from_millis(config.breaker_open_ms),
            },
            compared_after: match without_redis {
                WithoutRedis::Refuse => 0,
                WithoutRedis::Database => NEVER,
            },
            open: metrics.redis_breaker_open.clone(),
            shown: Shown {
                switches: metrics.redis_switches.clone(),
                primaries: metrics.redis_primary.clone(),
            },
        }
    }

    /// For a gateway that is not guarded, and asks nobody how its shards stand.
    pub(super) fn none() -> Self {
        Self {
            limits: Limits {
                failures: u32::MAX,
                open_for: Duration::ZERO,
            },
            compared_after: 0,
            open: Gauge::default(),
            shown: Shown::default(),
        }
    }
}

/// How one shard stands: what is known of it, shared by all clones of a gateway.
#[derive(Debug)]
pub struct Standing {
    breaker: Breaker,
    /// Whether it has ever answered.
    has_answered: AtomicBool,
    /// How often another server took its primary's place.
    promotions: AtomicU64,
    /// After which doubt all counts have been compared.
    compared_after: AtomicU64,
}

impl Standing {
    pub(super) fn new(guard: &Guard) -> Self {
        Self {
            breaker: Breaker::new("redis", guard.limits, guard.open.clone()),
            has_answered: AtomicBool::new(false),
            promotions: AtomicU64::new(0),
            compared_after: AtomicU64::new(guard.compared_after),
        }
    }

    /// True while calls are refused at once.
    pub fn is_away(&self) -> bool {
        self.breaker.is_open()
    }

    /// True while orders may be sold by what it counts.
    pub fn sells(&self) -> bool {
        !self.is_away() && self.compared_after.load(Ordering::Acquire) == self.doubts()
    }

    /// True when it is time to try whether it is back; what comes of it is to be noted.
    pub fn admits_trial(&self) -> bool {
        self.breaker.admits()
    }

    /// Notes what came of a trial.
    pub fn note_trial(&self, outcome: Outcome) {
        self.breaker.note(outcome);
    }

    /// How often its counts came into doubt so far: it was away, or has another primary.
    pub fn doubts(&self) -> u64 {
        let promotions = self.promotions.load(Ordering::Acquire);
        self.breaker.openings() + promotions
    }

    /// Another server has taken its primary's place, which may lack the last writes: its counts are
    /// to be compared, and if it is away, it is worth a trial at once.
    pub(super) fn note_promotion(&self) {
        self.promotions.fetch_add(1, Ordering::AcqRel);
        self.breaker.hasten();
    }

    /// Has its counts sold by again, unless they came into doubt again after `doubts`.
    pub fn note_compared(&self, doubts: u64) {
        self.compared_after.store(doubts, Ordering::Release);
    }

    pub(super) fn admit(&self) -> Result<(), Error> {
        if self.is_away() {
            Err(Error::Away)
        } else {
            Ok(())
        }
    }

    /// An error of the server is an answer too, unless it says that it cannot serve now.
    pub(super) fn note_answer<T>(&self, answered: &Result<T, Error>) {
        let has_failed = matches!(answered, Err(Error::NotDone { .. } | Error::Unknown { .. }));
        if has_failed {
            return self.breaker.note_unless_open(Outcome::Failed);
        }
        self.breaker.note_unless_open(Outcome::Answered);
        self.has_answered.store(true, Ordering::Relaxed);
    }
}

impl Gateway {
    /// True while calls to some shard are refused at once, or orders taken without any, since none
    /// was ever found.
    pub fn is_away(&self) -> bool {
        self.is_guarded && (self.is_unseen() || self.some(Standing::is_away))
    }

    /// True while calls to every shard are refused at once.
    pub fn is_away_everywhere(&self) -> bool {
        let is_there = |standing: &Standing| !standing.is_away();
        self.is_guarded && !self.shards().is_empty() && !self.some(is_there)
    }

    /// True while calls about this SKU are refused at once.
    pub fn is_away_for(&self, sku: &Sku) -> bool {
        self.is_guarded && self.has_standing(&inventory::key(sku), Standing::is_away)
    }

    /// True while calls about this session are refused at once.
    pub fn is_away_for_session(&self, id: &str) -> bool {
        self.is_guarded && self.has_standing(&sessions::key(id), Standing::is_away)
    }

    /// True once Redis has answered.
    pub fn has_answered(&self) -> bool {
        self.is_guarded && self.some(|standing| standing.has_answered.load(Ordering::Relaxed))
    }

    /// True while orders of anything may be sold by what Redis counts.
    pub fn sells(&self) -> bool {
        !self.is_guarded || !(self.is_unseen() || self.some(|standing| !standing.sells()))
    }

    /// True while orders of these lines may be.
    pub fn sells_lines(&self, lines: &[Line<'_>]) -> bool {
        let is_in_doubt = |standing: &Standing| !standing.sells();
        let mut keys = lines.iter().map(|(sku, _)| inventory::key(sku));
        let mut is_any_in_doubt = || keys.any(|key| self.has_standing(&key, is_in_doubt));
        !self.is_guarded || !(self.is_unseen() || is_any_in_doubt())
    }

    /// Whether the servers still are divided so that this is a shard.
    pub fn is_shard(&self, shard: &Arc<Shard>) -> bool {
        self.shards().iter().any(|known| Arc::ptr_eq(known, shard))
    }

    /// Whether this shard answers for a SKU.
    pub fn has_sku(&self, shard: &Arc<Shard>, sku: &Sku) -> bool {
        self.answers(shard, &inventory::key(sku))
    }

    /// Whether this shard answers for a session.
    pub fn has_session(&self, shard: &Arc<Shard>, id: &str) -> bool {
        self.answers(shard, &sessions::key(id))
    }

    fn answers(&self, shard: &Arc<Shard>, key: &str) -> bool {
        let answers = self.shape.shard_of(Some(key.as_bytes()));
        answers.is_some_and(|answers| Arc::ptr_eq(&answers, shard))
    }

    fn has_standing(&self, key: &str, is: impl Fn(&Standing) -> bool) -> bool {
        let answers = self.shape.shard_of(Some(key.as_bytes()));
        answers.is_some_and(|shard| is(shard.standing()))
    }

    fn is_unseen(&self) -> bool {
        self.doubts_unseen && self.shards().is_empty()
    }

    fn some(&self, holds: impl Fn(&Standing) -> bool) -> bool {
        let shards = self.shards();
        shards.iter().any(|shard| holds(shard.standing()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A gateway to where nothing listens.
    fn gateway(without_redis: WithoutRedis) -> Gateway {
        gateway_to("redis://127.0.0.1:1", without_redis)
    }

    fn gateway_to(url: &str, without_redis: WithoutRedis) -> Gateway {
        let settings = serde_json::json!({
            "url": url,
            "timeout_ms": 50,
            "breaker_failures": 3,
            "breaker_open_ms": 1,
        });
        let redis: config::Redis = serde_json::from_value(settings).expect("settings");
        Gateway::open_guarded(&redis, without_redis, &Metrics::new()).expect("a URL")
    }

    #[tokio::test]
    async fn a_redis_that_is_not_reached_is_left_alone_and_sells_again_when_it_was_compared() {
        let gateway = gateway(WithoutRedis::Refuse);
        let shards = gateway.shards();
        let standing = shards[0].standing();
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

        let opening = standing.doubts();
        let given_up = Instant::now();
        while !standing.admits_trial() {
            assert!(given_up.elapsed() < Duration::from_secs(10), "no trial");
            tokio::task::yield_now().await;
        }
        standing.note_trial(Outcome::Answered);
        assert!(!gateway.is_away() && !gateway.sells());
        standing.note_compared(opening - 1);
        assert!(!gateway.sells(), "compared before it was given up");
        standing.note_compared(opening);
        assert!(gateway.sells());
    }

    #[tokio::test]
    async fn where_orders_are_taken_without_redis_its_counts_are_compared_before_they_are_sold_by()
    {
        let gateway = gateway(WithoutRedis::Database);
        let shards = gateway.shards();
        let standing = shards[0].standing();
        assert!(!gateway.is_away() && !gateway.sells());
        standing.note_compared(standing.doubts());
        assert!(gateway.sells());
    }

    #[tokio::test]
    async fn a_cluster_that_was_never_found_is_not_sold_by_where_orders_are_taken_without_it() {
        let sku: Sku = "CLOCK".parse().expect("a SKU");
        for (without_redis, sells) in [
            (WithoutRedis::Database, false),
            (WithoutRedis::Refuse, true),
        ] {
            let gateway = gateway_to("redis+cluster://127.0.0.1:1", without_redis);
            assert!(gateway.shards().is_empty());
            assert_eq!(gateway.sells_lines(&[(&sku, 1)]), sells);
            assert_eq!((gateway.sells(), gateway.is_away()), (sells, !sells));
        }
    }
}
