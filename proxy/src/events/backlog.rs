//! How much waits in the outbox, for the metrics: every proxy tells, whoever relays.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::telemetry::Metrics;

/// Time between two looks, at least.
const PAUSE: Duration = Duration::from_secs(2);
/// Counting a million rows takes its time; looking takes at most one part in so many of it.
const REST: u32 = 20;

/// Looks until `stop`.
pub async fn watch(store: &Store, metrics: &Metrics, stop: &CancellationToken) {
    let mut pause = Duration::ZERO;
    while tokio::time::timeout(pause, stop.cancelled()).await.is_err() {
        let began = Instant::now();
        match store.backlog().await {
            Ok(backlog) => {
                metrics.outbox_rows.set(backlog.rows);
                metrics.outbox_parked_rows.set(backlog.parked_rows);
                metrics
                    .outbox_oldest_age_seconds
                    .set(backlog.oldest_age_seconds);
            }
            // Whoever else needs the database says so louder.
            Err(error) => tracing::debug!(%error, "the outbox cannot be counted"),
        }
        pause = PAUSE.max(began.elapsed() * REST);
    }
}
