//! Finds what was left half-done, on start and ever after: orders that nobody runs any more, and
//! changes of stock that Redis has not taken. Removes what has expired.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::machine::Found;
use super::runner::{Runner, unreadable};
use crate::catalogue::stock_change::deliver_unacknowledged;
use crate::orders::Status;
use crate::store::Error;
use crate::store::leases::StaleOrder;

/// Orders taken up in one look.
const BATCH: u32 = 256;
/// Orders run at once.
const AT_ONCE: usize = 256;
/// The first and the longest pause before an order is taken up again, ms.
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// Looks every `recovery.interval_ms`, and when it is woken, until `stop`.
pub async fn run(runner: Arc<Runner>, stop: CancellationToken) {
    let interval = Duration::from_millis(runner.recovery.interval_ms);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&runner, &places) => if let Err(error) = looked {
                tracing::warn!(%error, "recovery could not look for orders; it tries again");
            }
        }
        if let Err(error) = deliver_unacknowledged(&runner.store, &runner.gateway).await {
            tracing::warn!(%error, "recovery could not deliver changes of stock; it tries again");
        }
        if let Err(error) = runner.store.forget_expired_requests(BATCH).await {
            tracing::warn!(%error, "recovery could not remove expired keys; it tries again");
        }
        match runner.store.count_parked_orders().await {
            Ok(parked) => drop(runner.metrics.orders_parked.set(parked)),
            Err(error) => tracing::warn!(%error, "recovery could not count the parked orders"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = runner.recovery_wanted() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Takes up all that is stale. Waits for places, not for the last order to end: one that takes
/// long keeps no other waiting.
async fn look(runner: &Arc<Runner>, places: &Arc<Semaphore>) -> Result<(), Error> {
    let lease_ms = runner.recovery.lease_ms;
    loop {
        let stale = runner
            .store
            .claim_stale_orders(lease_ms, runner.patience_ms, BATCH)
            .await?;
        let found = stale.len();
        if found > 0 {
            tracing::info!(orders = found, "recovery takes up orders that were left");
            runner.metrics.recovery_resumed.inc_by(found as u64);
        }
        for stale in stale {
            take_up(runner, places, stale).await;
        }
        if found < BATCH as usize {
            return Ok(());
        }
    }
}

async fn take_up(runner: &Arc<Runner>, places: &Arc<Semaphore>, stale: StaleOrder) {
    let found = found(&stale);
    let order = match stale.order {
        Ok(order) => order,
        Err(error) => return unreadable(runner, stale.id, error).await,
    };
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await;
    runner.resume(order, found, stale.attempts, place.ok());
}

/// What the tables say of a stale order.
fn found(stale: &StaleOrder) -> Found {
    let status = stale.order.as_ref().map(|order| order.status).ok();
    match (stale.is_committed, status) {
        (None, _) => Found::Undecided {
            overdue: stale.is_overdue,
        },
        (Some(false), _) => Found::Aborted,
        (Some(true), Some(Status::Cancelled | Status::Refunded)) => Found::Cancelled,
        (Some(true), _) => Found::Committed,
    }
}

/// How long an order is left alone that recovery has taken up so often, ms: a second, then twice
/// as long each time, up to a minute.
pub(super) fn pause_ms(attempts: u32) -> u64 {
    (FIRST_PAUSE_MS << attempts.min(16)).min(LONGEST_PAUSE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let pauses: Vec<u64> = (0..8).map(pause_ms).collect();
        assert_eq!(
            pauses,
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(pause_ms(u32::MAX), LONGEST_PAUSE_MS);
    }
}
