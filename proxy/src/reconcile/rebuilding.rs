//! Stock that Redis has lost is made anew for the buyers who ask for it, all who wait at once.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use super::decision::Decision;
use super::look::{Depth, look};
use super::mending::mend;
use super::walk::Task;
use super::{Error, Servers};
use crate::catalogue::Sku;
use crate::gateway;
use crate::gateway::inventory::{Line, Word};
use crate::gateway::reservation::{Reservation, Taking};

/// Buyers who may wait; the others are told to come again.
const QUEUE: usize = 1_024;
/// Buyers whose stock is made anew in one go.
const BATCH: usize = 256;

/// Reserves, also what Redis has lost. Cheap to clone.
#[derive(Clone)]
pub struct Rebuilder {
    /// Both sides.
    pub servers: Servers,
    queue: mpsc::Sender<Waiting>,
    met_loss: Arc<Notify>,
}

/// A buyer who waits for stock.
struct Waiting {
    skus: Vec<Sku>,
    done: oneshot::Sender<Result<HashSet<Sku>, String>>,
}

impl Rebuilder {
    /// Starts the task that makes stock anew; it ends with the last clone.
    pub fn start(servers: Servers) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(servers.clone(), waiting));
        Self {
            servers,
            queue,
            met_loss: Arc::default(),
        }
    }

    /// Waits until somebody met stock that is lost.
    pub async fn loss(&self) {
        self.met_loss.notified().await;
    }

    /// Holds all lines or none. What MySQL knows and Redis does not is made anew, and reserved then; what
    /// neither knows is out of stock.
    ///
    /// # Errors
    /// When a server is away, or the stock could not be made anew now: nothing is held, or will
    /// be for longer than `ttl_ms`, and the same may be tried again.
    pub async fn reserve_all(
        &self,
        hold: Uuid,
        lines: &[Line<'_>],
        ttl_ms: u64,
        taking: Taking,
    ) -> Result<Reservation, gateway::Error> {
        let gateway = &self.servers.gateway;
        if !gateway.sells_lines(lines) {
            return Err(gateway::Error::Away);
        }
        match gateway.reserve_all(hold, lines, ttl_ms, taking).await {
            Err(error) if error.has_prefix("NOSUCHSTOCK") => {}
            answered => return answered,
        }
        let unknown = self.make_anew(lines).await.map_err(not_now)?;
        if unknown.is_empty() {
            return gateway.reserve_all(hold, lines, ttl_ms, taking).await;
        }
        if taking == Taking::New {
            gateway.give_back(hold, lines).await;
        }
        Ok(Reservation {
            word: Word::OutOfStock,
            lines: gateway.availability(lines).await?,
        })
    }

    /// Waits until the stock of these lines is there; answers those that are no products.
    async fn make_anew(&self, lines: &[Line<'_>]) -> Result<HashSet<Sku>, String> {
        let (done, answer) = oneshot::channel();
        let skus = lines.iter().map(|(sku, _)| (*sku).clone()).collect();
        let queued = self.queue.try_send(Waiting { skus, done });
        queued.map_err(|_| "too many wait for it")?;
        let unknown = answer.await.map_err(|_| "the proxy stops")??;
        if unknown.is_empty() {
            self.met_loss.notify_one();
        }
        Ok(unknown)
    }
}

fn not_now(cause: String) -> gateway::Error {
    gateway::Error::NotDone {
        command: "INV.MRESERVE".into(),
        cause: format!("its stock is lost, and cannot be made anew now: {cause}"),
    }
}

async fn work(servers: Servers, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let skus: BTreeSet<&Sku> = batch.iter().flat_map(|buyer| &buyer.skus).collect();
        let skus: Vec<&Sku> = skus.into_iter().collect();
        let made = servers.store.answered(make_anew(&servers, &skus)).await;
        if let Err(error) = &made {
            tracing::warn!(%error, "lost stock cannot be made anew; buyers are told to come again");
        }
        let made = made.map_err(|error| error.to_string());
        for buyer in batch.drain(..) {
            let unknown = made.clone().map(|unknown| {
                let of_buyer = buyer.skus.into_iter().filter(|sku| unknown.contains(sku));
                of_buyer.collect()
            });
            // A failed send only means that the buyer has gone.
            let _gone = buyer.done.send(unknown);
        }
    }
}

/// Makes those of `skus` anew that Redis does not have; answers those that MySQL does not have
/// either.
async fn make_anew(servers: &Servers, skus: &[&Sku]) -> Result<HashSet<Sku>, Error> {
    let stocks = servers.gateway.stocks(skus).await?;
    let lost = skus.iter().zip(stocks).filter(|(_, stock)| stock.is_none());
    let lost: Vec<&Sku> = lost.map(|(sku, _)| *sku).collect();
    // Nothing is held of it, so nothing can be orphaned.
    let task = Task {
        fix: true,
        orphan_age_ms: u64::MAX,
        is_in_doubt: false,
    };
    let mut seen = look(servers, &lost, Depth::Close, task).await?;
    let products: HashSet<Sku> = seen.iter().map(|sighting| sighting.sku.clone()).collect();
    seen.retain(|sighting| matches!(sighting.verdict.decision, Decision::Rebuild(_)));
    mend(servers, &seen).await?;
    let unknown = lost.into_iter().filter(|sku| !products.contains(*sku));
    Ok(unknown.cloned().collect())
}
