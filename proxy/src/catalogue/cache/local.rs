//! The layer in this process: bounded by bytes, each entry for a few seconds, and each read once
//! however many ask for it at the same time.
//!
//! A reading may be overtaken by the change that it did not see. So what is heard of changes is
//! remembered, and whoever has kept a reading looks afterwards whether something newer was heard of
//! by then: either the look comes after the word, and the reading is dropped, or the word comes
//! after the keeping, and drops it.

use std::collections::HashSet;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;

use crate::catalogue::Sku;
use crate::gateway::products::Kept;

/// Changes that are remembered, for longer than any layer keeps a reading without looking.
const HEARD: u64 = 100_000;
const HEARD_FOR: Duration = Duration::from_secs(600);
/// What an entry takes besides its texts, roughly.
const OVERHEAD_BYTES: usize = 256;
/// How often a reading that was overtaken is made again before it is given as it is.
const ATTEMPTS: usize = 3;

/// A reading, when it began and how long it took.
#[derive(Debug)]
pub(super) struct Reading {
    pub kept: Kept,
    pub began: Instant,
    pub took: Duration,
}

/// What was found, and whether it was here.
pub(super) enum Found {
    Here(Arc<Reading>),
    Read(Arc<Reading>),
}

/// The layer.
pub(super) struct Local {
    readings: Cache<Sku, Arc<Reading>>,
    heard: Cache<Sku, i64>,
    last_heard: Mutex<Option<Instant>>,
    /// Readings that began earlier are not kept.
    cleared: Mutex<Option<Instant>>,
    refreshing: Mutex<HashSet<Sku>>,
}

impl Local {
    /// An empty layer of at most `max_bytes`, in which nothing stays for longer than `ttl`.
    pub fn new(max_bytes: u64, ttl: Duration) -> Self {
        let readings = Cache::builder()
            .weigher(|_, reading: &Arc<Reading>| weight(reading))
            .max_capacity(max_bytes)
            .time_to_live(ttl)
            .build();
        let heard = Cache::builder()
            .max_capacity(HEARD)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(HEARD_FOR)
            .build();
        Self {
            readings,
            heard,
            last_heard: Mutex::default(),
            cleared: Mutex::default(),
            refreshing: Mutex::default(),
        }
    }

    /// What is here, or else what `read` reads: by one for all who ask at the same time.
    ///
    /// # Errors
    /// Those of `read`, for all who have waited for it.
    pub async fn get<E, F>(&self, sku: &Sku, read: impl Fn() -> F) -> Result<Found, Arc<E>>
    where
        F: Future<Output = Result<Arc<Reading>, E>>,
        E: Send + Sync + 'static,
    {
        if let Some(reading) = self.readings.get(sku).await {
            return Ok(Found::Here(reading));
        }
        let mut attempt = 1;
        loop {
            let reading = self.readings.try_get_with_by_ref(sku, read()).await?;
            if self.is_newest(sku, &reading).await || attempt == ATTEMPTS {
                return Ok(Found::Read(reading));
            }
            attempt += 1;
        }
    }

    /// Puts a reading in the place of an older one.
    pub async fn renew(&self, sku: &Sku, reading: Arc<Reading>) {
        let entry = self.readings.entry_by_ref(sku);
        let renewed = reading.clone();
        let _ = entry
            .and_compute_with(async |there| match there {
                Some(there) if there.value().kept.revision > renewed.kept.revision => Op::Nop,
                _ => Op::Put(renewed),
            })
            .await;
        self.is_newest(sku, &reading).await;
    }

    /// A product has changed: what is here of it is dropped, and nothing older kept again.
    pub async fn hear(&self, sku: &Sku, revision: i64) {
        let entry = self.heard.entry_by_ref(sku);
        entry
            .and_upsert_with(async |heard| {
                heard.map_or(revision, |heard| heard.into_value().max(revision))
            })
            .await;
        *locked(&self.last_heard) = Some(Instant::now());
        fence(Ordering::SeqCst);
        self.readings.invalidate(sku).await;
    }

    /// Whether any product has changed within `time`.
    pub fn heard_within(&self, time: Duration) -> bool {
        locked(&self.last_heard).is_some_and(|last| last.elapsed() < time)
    }

    /// The newest revision that was heard of lately; 0 if none was.
    pub async fn heard(&self, sku: &Sku) -> i64 {
        self.heard.get(sku).await.unwrap_or_default()
    }

    /// Drops everything: something may have changed without a word.
    pub fn clear(&self) {
        *locked(&self.cleared) = Some(Instant::now());
        self.readings.invalidate_all();
    }

    /// True for the one who is to read a product anew; the others leave it to that one, until it
    /// has [`Local::refreshed`].
    pub fn begins_refresh(&self, sku: &Sku) -> bool {
        locked(&self.refreshing).insert(sku.clone())
    }

    /// Somebody else may read it anew.
    pub fn refreshed(&self, sku: &Sku) {
        locked(&self.refreshing).remove(sku);
    }

    /// Whether nothing newer was heard of than what has been kept just now; else it is dropped.
    async fn is_newest(&self, sku: &Sku, reading: &Reading) -> bool {
        fence(Ordering::SeqCst);
        let began_in_time = locked(&self.cleared).is_none_or(|cleared| reading.began > cleared);
        let is_newest = began_in_time && reading.kept.revision >= self.heard(sku).await;
        if !is_newest {
            self.readings.invalidate(sku).await;
        }
        is_newest
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weight(reading: &Reading) -> u32 {
    let texts = reading.kept.entry.as_ref().map_or(0, |entry| {
        entry.product.name.len() + entry.product.description.len()
    });
    u32::try_from(texts + OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
