//! Finds what was left half-done, on start and ever after: orders that nobody runs any more, and
//! changes of stock that Redis has not taken. Removes what has expired.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::runner::Runner;
use crate::catalogue::stock_change::deliver_unacknowledged;
use crate::store::Error;

/// Orders taken up in one look, and at once.
const BATCH: u32 = 256;
const AT_ONCE: usize = 16;

/// Looks every `recovery.interval_ms` until `stop`.
pub async fn run(runner: Arc<Runner>, stop: CancellationToken) {
    let interval = Duration::from_millis(runner.recovery.interval_ms);
    loop {
        if let Err(error) = look(&runner).await {
            tracing::warn!(%error, "recovery could not look for orders; it tries again");
        }
        if let Err(error) = deliver_unacknowledged(&runner.store, &runner.gateway).await {
            tracing::warn!(%error, "recovery could not deliver changes of stock; it tries again");
        }
        if let Err(error) = runner.store.forget_expired_requests(BATCH).await {
            tracing::warn!(%error, "recovery could not remove expired keys; it tries again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

async fn look(runner: &Runner) -> Result<(), Error> {
    let stale = runner
        .store
        .claim_stale_orders(runner.recovery.lease_ms, BATCH)
        .await?;
    if !stale.is_empty() {
        tracing::info!(
            orders = stale.len(),
            "recovery takes up orders that were left"
        );
    }
    let resumed =
        futures::stream::iter(stale).map(|stale| runner.resume(stale.order, stale.committed));
    resumed.buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}
