//! The word of a change: to Redis and from there to every proxy.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Catalogue, Shared};
use crate::catalogue::Entry;
use crate::gateway::products::Kept;
use crate::store;

/// Between two tries to reach Redis.
const PAUSE: Duration = Duration::from_secs(1);
/// Products that are told of at once.
const AT_ONCE: usize = 500;

impl Catalogue {
    /// Tells of entries that have been written, and answers how many Redis could not be told of.
    /// This process sees them from now on in any case, and tells again while it [`Catalogue::run`]s.
    pub async fn tell(&self, entries: &[Entry]) -> usize {
        let mut untold = 0;
        for entries in entries.chunks(AT_ONCE) {
            // The connection is multiplexed, so these leave as one batch.
            let told = join_all(entries.iter().map(|entry| self.shared.tell(entry))).await;
            untold += told.into_iter().filter(|told| !told).count();
        }
        untold
    }

    /// Hears what others tell, and tells what was not told yet, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let running = async { tokio::join!(self.hear_all(), self.tell_all()) };
        stop.run_until_cancelled(running).await;
    }

    async fn hear_all(&self) {
        let shared = &self.shared;
        loop {
            match shared.gateway.product_changes().await {
                Ok(changes) => {
                    // What was told before is unknown.
                    shared.local.clear();
                    let mut changes = pin!(changes);
                    while let Some(change) = changes.next().await {
                        shared.local.hear(&change.sku, change.revision).await;
                    }
                    tracing::warn!("changes of products are not heard; Redis is asked again");
                }
                Err(error) => tracing::debug!(%error, "changes of products are not heard"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tell_all(&self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Err(error) = self.tell_untold().await {
                tracing::debug!(%error, "changed products were not read");
            }
        }
    }

    async fn tell_untold(&self) -> Result<(), store::Error> {
        let shared = &self.shared;
        let skus = shared.untold.take(AT_ONCE);
        let named: Vec<_> = skus.iter().collect();
        match shared.store.entries(&named).await {
            Ok(entries) => {
                self.tell(&entries).await;
                Ok(())
            }
            Err(error) => {
                for sku in &skus {
                    shared.untold.add(sku);
                }
                Err(error)
            }
        }
    }
}

impl Shared {
    async fn tell(&self, entry: &Entry) -> bool {
        let sku = &entry.product.sku;
        let kept = Kept::of(Some(entry.clone()));
        self.local.hear(sku, kept.revision).await;
        let told = self.gateway.tell_product(sku, &kept, self.ttl_ms(&kept));
        let Err(error) = told.await else { return true };
        if self.untold.add(sku) {
            tracing::warn!(%sku, %error, "Redis cannot be told of a changed product");
        }
        false
    }
}
