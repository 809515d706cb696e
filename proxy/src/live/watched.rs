//! Who watches what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::event::Event;
use super::marks::Marks;
use super::shown::{NotShown, Shown, look};
use crate::catalogue::Sku;
use crate::config;
use crate::gateway::Gateway;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Everybody who watches at this proxy.
pub struct Live {
    pub(super) gateway: Gateway,
    pub(super) store: Store,
    /// SKUs that are watched now and were not, or the other way round.
    pub(super) changed: Marks,
    /// SKUs that are to be read.
    pub(super) unread: Marks,
    watched: Mutex<HashMap<Sku, Watched>>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

struct Watched {
    newest: watch::Sender<Event>,
    watchers: usize,
}

/// Somebody who watches a SKU, until this is dropped.
pub struct Watcher {
    /// The newest state, however many there were since it was looked at.
    pub newest: watch::Receiver<Event>,
    live: Arc<Live>,
    sku: Sku,
    _place: OwnedSemaphorePermit,
}

/// Why nobody more can watch.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// As many watch as may.
    #[error("as many watch as this server can serve; try again in a moment")]
    Full,
    /// There is nothing to be seen.
    #[error(transparent)]
    NotShown(#[from] NotShown),
    /// The state cannot be written as JSON.
    #[error(transparent)]
    Unwritable(#[from] serde_json::Error),
}

impl Live {
    /// Nobody watches yet; [`Live::follow`] has to run for those who will.
    pub fn new(
        gateway: Gateway,
        store: Store,
        config: &config::Stream,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            gateway,
            store,
            changed: Marks::default(),
            unread: Marks::default(),
            watched: Mutex::default(),
            places: Arc::new(Semaphore::new(config.max_watchers)),
            metrics,
        })
    }

    /// Lets somebody watch. Only the first who watches a SKU has it read.
    pub async fn watch(self: &Arc<Self>, sku: &Sku) -> Result<Watcher, Refusal> {
        let place = (self.places.clone().try_acquire_owned()).map_err(|_| Refusal::Full)?;
        let known = self.newest(sku);
        let first = match known {
            Some(newest) => newest,
            None => Event::of(&look(&self.gateway, &self.store, sku).await?)?,
        };
        let mut all = self.watched();
        let watched = all.entry(sku.clone()).or_insert_with(|| {
            // What changes before the gate tells of it is found by the read that then follows.
            self.changed.mark([sku.clone()]);
            self.metrics.stream_skus.inc();
            Watched {
                newest: watch::Sender::new(first),
                watchers: 0,
            }
        });
        watched.watchers += 1;
        self.metrics.stream_watchers.inc();
        let mut newest = watched.newest.subscribe();
        newest.mark_changed();
        Ok(Watcher {
            newest,
            live: self.clone(),
            sku: sku.clone(),
            _place: place,
        })
    }

    /// Tells all who watch it, if it is new.
    pub(super) fn tell(&self, shown: &Shown) -> Result<(), serde_json::Error> {
        let event = Event::of(shown)?;
        if let Some(watched) = self.watched().get(&shown.sku) {
            watched.newest.send_if_modified(|newest| {
                let is_new = *newest != event;
                *newest = event;
                is_new
            });
        }
        Ok(())
    }

    pub(super) fn is_watched(&self, sku: &Sku) -> bool {
        self.watched().contains_key(sku)
    }

    pub(super) fn skus(&self) -> Vec<Sku> {
        self.watched().keys().cloned().collect()
    }

    fn newest(&self, sku: &Sku) -> Option<Event> {
        let all = self.watched();
        Some(all.get(sku)?.newest.borrow().clone())
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Sku, Watched>> {
        // Each change of the map is whole before anything else can fail.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut all = self.live.watched();
        self.live.metrics.stream_watchers.dec();
        if let Some(watched) = all.get_mut(&self.sku) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                all.remove(&self.sku);
                self.live.metrics.stream_skus.dec();
                self.live.changed.mark([self.sku.clone()]);
            }
        }
    }
}
