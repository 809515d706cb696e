//! The catalogue as it is looked at: what this process keeps, over what Redis keeps for all
//! proxies, over MySQL.
//!
//! What is kept has the revision that it was read at, and in no layer an older reading takes the
//! place of a newer one, however late it comes. Whoever changes a product tells so ([`news`]), and
//! every proxy drops what it has at once. Where the word is lost, an entry ends by itself after
//! `catalogue.local_ttl_ms`.

mod early;
mod local;
pub mod news;
mod untold;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use super::{Entry, Product, Search, Sku};
use crate::config;
use crate::gateway::Gateway;
use crate::gateway::products::Kept;
use crate::store::{self, Freshness, Store};
use crate::telemetry::Metrics;
use crate::telemetry::reading::Layer;
use early::is_due;
use local::{Found, Local, Reading};
use untold::Untold;

/// Products of one caller that are looked for at once, where many are.
const AT_ONCE: usize = 16;

/// The catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    gateway: Gateway,
    config: config::Catalogue,
    metrics: Arc<Metrics>,
    local: Local,
    untold: Untold,
    redis_answers: AtomicBool,
}

/// A reading, and whether it is about to end in Redis.
struct Read {
    reading: Arc<Reading>,
    is_due: bool,
}

impl Catalogue {
    /// The catalogue of these servers; nothing is read yet.
    pub fn new(
        store: Store,
        gateway: Gateway,
        config: &config::Catalogue,
        metrics: Arc<Metrics>,
    ) -> Self {
        let local_ttl = Duration::from_millis(config.local_ttl_ms);
        Self {
            shared: Arc::new(Shared {
                local: Local::new(config.local_max_bytes, local_ttl),
                config: config.clone(),
                untold: Untold::default(),
                redis_answers: AtomicBool::new(true),
                store,
                gateway,
                metrics,
            }),
        }
    }

    /// What there is under a SKU, retired or not.
    ///
    /// # Errors
    /// When no layer has it and the database gives no answer; all who asked share the error.
    pub async fn entry(&self, sku: &Sku) -> Result<Option<Entry>, Arc<store::Error>> {
        let shared = &self.shared;
        let reading = match shared.local.get(sku, || self.read(sku)).await? {
            Found::Here(reading) => {
                shared.metrics.reading.hit(Layer::Local);
                if shared.is_due_here(&reading) {
                    self.refresh(sku, Layer::Local);
                }
                reading
            }
            Found::Read(reading) => {
                shared.metrics.reading.missed(Layer::Local);
                reading
            }
        };
        Ok(reading.kept.entry.clone())
    }

    /// A product that is sold.
    ///
    /// # Errors
    /// As [`Catalogue::entry`].
    pub async fn product(&self, sku: &Sku) -> Result<Option<Product>, Arc<store::Error>> {
        Ok(self.entry(sku).await?.and_then(Entry::sold))
    }

    /// Those of `skus` that are sold, in the order asked.
    ///
    /// # Errors
    /// As [`Catalogue::entry`].
    pub async fn products(&self, skus: &[&Sku]) -> Result<Vec<Product>, Arc<store::Error>> {
        let mut found = Vec::with_capacity(skus.len());
        for skus in skus.chunks(AT_ONCE) {
            let asked: Vec<_> = skus.iter().map(|sku| self.product(sku)).collect();
            found.extend(try_join_all(asked).await?.into_iter().flatten());
        }
        Ok(found)
    }

    /// At most `limit` products that are sold, in the order of their SKUs, beginning behind
    /// `after`; with a search, only those that it finds. Lists are not kept.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn page(
        &self,
        search: Option<&Search>,
        after: Option<&Sku>,
        limit: u32,
    ) -> Result<Vec<Product>, store::Error> {
        let store = &self.shared.store;
        // What has changed lately may not have come to the replica yet.
        let freshness = match self.shared.local.heard_within(store.longest_lag()) {
            true => Freshness::Newest,
            false => Freshness::MayLag,
        };
        store.product_page(search, after, limit, freshness).await
    }

    async fn read(&self, sku: &Sku) -> Result<Arc<Reading>, store::Error> {
        let Read { reading, is_due } = self.shared.read(sku).await?;
        if is_due {
            self.refresh(sku, Layer::Redis);
        }
        Ok(reading)
    }

    /// Has one reader read a product anew that is about to end in `layer`, while everybody goes on
    /// with what there is.
    fn refresh(&self, sku: &Sku, layer: Layer) {
        if !self.shared.local.begins_refresh(sku) {
            return;
        }
        let (shared, sku) = (self.shared.clone(), sku.clone());
        tokio::spawn(async move {
            match shared.read_early(&sku, layer).await {
                Ok(reading) => shared.local.renew(&sku, reading).await,
                // Whoever finds the entry gone reads it again, and tells its caller what fails.
                Err(error) => tracing::debug!(%sku, %error, "a product was not read anew"),
            }
            shared.local.refreshed(&sku);
        });
    }
}

impl Shared {
    /// Reads what Redis keeps, or else what the database has.
    async fn read(&self, sku: &Sku) -> Result<Read, store::Error> {
        let began = Instant::now();
        let heard = self.local.heard(sku).await;
        let kept = self.gateway.kept_product(sku).await;
        self.note_redis(kept.as_ref().err());
        match kept {
            Ok(Some((kept, remaining))) if kept.revision >= heard => {
                self.metrics.reading.hit(Layer::Redis);
                // It is looked at when this process forgets, and not more often.
                let scale = Duration::from_millis(self.config.local_ttl_ms);
                let is_due = kept.entry.is_some() && is_due(remaining, scale, fastrand::f64());
                let reading = Reading::now(kept, began);
                Ok(Read { reading, is_due })
            }
            Ok(_) => {
                self.metrics.reading.missed(Layer::Redis);
                self.load(sku).await
            }
            // Without Redis there is nothing to be kept there either.
            Err(_) => self.load_only(sku, Freshness::MayLag).await,
        }
    }

    /// Reads what the layers below `layer` have, so that it stays there.
    async fn read_early(&self, sku: &Sku, layer: Layer) -> Result<Arc<Reading>, store::Error> {
        if layer == Layer::Local {
            self.metrics.reading.refreshes_early(layer);
            let Read { reading, is_due } = self.read(sku).await?;
            if !is_due {
                return Ok(reading);
            }
        }
        self.metrics.reading.refreshes_early(Layer::Redis);
        Ok(self.load(sku).await?.reading)
    }

    /// Reads what the database has, and keeps it in Redis. Where that is older than what is known,
    /// the primary is read.
    async fn load(&self, sku: &Sku) -> Result<Read, store::Error> {
        let read = self.load_only(sku, Freshness::MayLag).await?;
        let kept = &read.reading.kept;
        let answer = self
            .gateway
            .keep_product(sku, kept, self.ttl_ms(kept))
            .await;
        self.note_redis(answer.as_ref().err());
        let Ok(newest) = answer else { return Ok(read) };
        if newest <= kept.revision {
            return Ok(read);
        }
        // Somebody has told of a change meanwhile, and the word is on its way.
        self.metrics.reading.stale_loads.inc();
        self.local.hear(sku, newest).await;
        self.load_only(sku, Freshness::Newest).await
    }

    async fn load_only(&self, sku: &Sku, freshness: Freshness) -> Result<Read, store::Error> {
        let began = Instant::now();
        self.metrics.reading.loads.inc();
        let mut kept = Kept::of(self.store.entry(sku, freshness).await?);
        if freshness == Freshness::MayLag && kept.revision < self.local.heard(sku).await {
            self.metrics.reading.stale_loads.inc();
            kept = Kept::of(self.store.entry(sku, Freshness::Newest).await?);
        }
        Ok(Read {
            reading: Reading::now(kept, began),
            is_due: false,
        })
    }

    fn is_due_here(&self, reading: &Reading) -> bool {
        let ttl = Duration::from_millis(self.config.local_ttl_ms);
        let remaining = ttl.saturating_sub(reading.began.elapsed());
        is_due(remaining, reading.took, fastrand::f64())
    }

    fn ttl_ms(&self, kept: &Kept) -> u64 {
        match kept.entry {
            Some(_) => self.config.redis_ttl_ms,
            None => self.config.missing_ttl_ms,
        }
    }

    /// Says once that Redis is away, and once that it is back.
    fn note_redis(&self, error: Option<&crate::gateway::Error>) {
        let answered = self.redis_answers.swap(error.is_none(), Ordering::Relaxed);
        match error {
            Some(error) if answered => {
                tracing::warn!(%error, "products are read without Redis");
            }
            None if !answered => tracing::info!("products are kept in Redis again"),
            _ => {}
        }
    }
}

impl Reading {
    fn now(kept: Kept, began: Instant) -> Arc<Self> {
        Arc::new(Self {
            kept,
            began,
            took: began.elapsed(),
        })
    }
}
