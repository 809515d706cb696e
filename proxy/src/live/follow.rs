//! Listens to what the gate tells of the SKUs that are watched, and reads them.
//!
//! A message only says that a SKU is to be read: what is told is what `INV.GET` says, read by one
//! task after the other, so that no watcher sees a SKU go back to what it was. Messages are not kept
//! for a connection that was lost, so everything is read again when there is a new one.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::shown::{NotShown, Shown, look};
use super::watched::Live;
use crate::catalogue::Sku;
use crate::gateway;

/// Before a lost connection is made anew, and before what could not be read is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is asked whether the connection still stands, and everything is read again: that a
/// key was deleted, the gate does not tell.
const PULSE: Duration = Duration::from_secs(10);
/// SKUs read in one go.
const READ_AT_ONCE: usize = 500;

impl Live {
    /// Keeps all who watch informed, for ever.
    pub async fn follow(&self) {
        tokio::join!(self.listen(), self.read());
    }

    async fn listen(&self) {
        let mut is_lost = false;
        loop {
            // Without watchers there is no connection.
            self.changed.any().await;
            let mut was_connected = false;
            if let Err(error) = self.listen_while_watched(&mut was_connected).await {
                if was_connected || !is_lost {
                    tracing::warn!(%error, "news of stock are interrupted; whoever watches gets the newest when they are back");
                }
                is_lost = true;
                tokio::time::sleep(PAUSE).await;
                self.changed.mark(self.skus());
            } else {
                is_lost = false;
            }
        }
    }

    async fn listen_while_watched(&self, is_connected: &mut bool) -> Result<(), gateway::Error> {
        let mut updates = self.gateway.updates().await?;
        *is_connected = true;
        let mut followed = HashSet::new();
        let mut pulse = tokio::time::interval(PULSE);
        self.changed.mark(self.skus());
        loop {
            tokio::select! {
                changed = self.changed.take() => {
                    let (begun, ended): (Vec<Sku>, Vec<Sku>) =
                        changed.into_iter().partition(|sku| self.is_watched(sku));
                    let new = begun.iter().filter(|sku| followed.insert((*sku).clone()));
                    updates.follow(new).await?;
                    let old = ended.iter().filter(|sku| followed.remove(*sku));
                    updates.leave(old).await?;
                    self.unread.mark(begun);
                    if followed.is_empty() {
                        return Ok(());
                    }
                }
                told = updates.next() => self.unread.mark([told?]),
                _ = pulse.tick() => {
                    updates.pulse().await?;
                    self.unread.mark(followed.iter().cloned());
                }
            }
        }
    }

    async fn read(&self) {
        // Where a part of Redis is away the rest is read all the while.
        let (mut failed, mut again_at) = (BTreeSet::new(), Instant::now());
        loop {
            let skus = tokio::select! {
                skus = self.unread.take() => skus,
                () = sleep_until(again_at), if !failed.is_empty() => std::mem::take(&mut failed),
            };
            let skus: Vec<Sku> = (skus.into_iter())
                .filter(|sku| self.is_watched(sku))
                .collect();
            for skus in skus.chunks(READ_AT_ONCE) {
                let not_read = self.read_all(skus).await;
                if failed.is_empty() {
                    again_at = Instant::now() + PAUSE;
                }
                failed.extend(not_read);
            }
        }
    }

    /// Reads and tells; those that could not be read are to be read again.
    async fn read_all(&self, skus: &[Sku]) -> Vec<Sku> {
        // The connections are multiplexed, so these leave as one batch to each server.
        let stocks = join_all(skus.iter().map(|sku| self.gateway.stock(sku))).await;
        let mut failed = Vec::new();
        for (sku, stock) in skus.iter().zip(stocks) {
            let shown = match stock {
                Ok(Some(stock)) => Ok(Shown {
                    sku: sku.clone(),
                    stock,
                }),
                Ok(None) => look(&self.gateway, &self.store, sku).await,
                Err(error) => Err(error.into()),
            };
            match shown {
                Ok(shown) => {
                    if let Err(error) = self.tell(&shown) {
                        tracing::error!(%sku, %error, "a stock cannot be told");
                    }
                }
                // What was told last stays until the reconciler has brought the count back.
                Err(NotShown::Lost(_) | NotShown::Unknown(_)) => {}
                Err(error) => {
                    tracing::debug!(%sku, %error, "a watched stock could not be read; it is tried again");
                    failed.push(sku.clone());
                }
            }
        }
        failed
    }
}
