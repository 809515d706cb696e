//! Finds what was left half-done, on start and ever after: orders that nobody runs any more, and
//! changes of stock that Redis has not taken. Removes what has expired.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::machine::Found;
use super::runner::{Runner, unreadable};
use crate::catalogue::stock_change::deliver_unacknowledged;
use crate::orders::Status;
use crate::store::Error;
use crate::store::leases::StaleOrder;
use crate::store::silence::LONGEST_WAIT;

/// Expired keys removed at once.
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
        if !runner.gateway.is_away_everywhere() {
            let delivered = deliver_unacknowledged(&runner.store, &runner.gateway);
            chore("deliver changes of stock", delivered).await;
        }
        chore("remove expired keys", forget_expired_keys(&runner)).await;
        chore("count the parked orders", count_parked_orders(&runner)).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = runner.recovery_wanted() => {}
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Takes up all that is stale. Waits for places, not for the last order to end: one that takes
/// long keeps no other waiting. Leases no more orders than there are places, since a lease would run
/// out while its order waits for one.
async fn look(runner: &Arc<Runner>, places: &Arc<Semaphore>) -> Result<(), Error> {
    let lease_ms = runner.recovery.lease_ms;
    loop {
        let Ok(mut free) = free_places(places).await else {
            // The places are never closed.
            return Ok(());
        };
        let limit = free.num_permits();
        let claimed = runner
            .store
            .claim_stale_orders(lease_ms, runner.patience_ms, limit as u32);
        let stale = runner.store.answered(claimed).await?;
        let found = stale.len();
        if found > 0 {
            tracing::info!(orders = found, "recovery takes up orders that were left");
            runner.metrics.recovery_resumed.inc_by(found as u64);
        }
        for stale in stale {
            take_up(runner, free.split(1), stale).await;
        }
        if found < limit {
            return Ok(());
        }
    }
}

/// All places that are free, at least one.
async fn free_places(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
    let mut free = places.clone().acquire_owned().await?;
    let others = places.available_permits() as u32;
    if let Ok(others) = places.clone().try_acquire_many_owned(others) {
        free.merge(others);
    }
    Ok(free)
}

async fn take_up(runner: &Arc<Runner>, place: Option<OwnedSemaphorePermit>, stale: StaleOrder) {
    let found = found(&stale);
    let order = match stale.order {
        Ok(order) => order,
        Err(error) => return unreadable(runner, stale.id, error).await,
    };
    runner.resume(order, found, stale.attempts, place);
}

/// Does what recovery does besides; what fails or has no answer is done at the next look.
async fn chore<T, E: Display>(what: &str, chore: impl Future<Output = Result<T, E>>) {
    match tokio::time::timeout(LONGEST_WAIT, chore).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "recovery could not {what}; it tries again");
        }
        Err(_elapsed) => tracing::warn!("recovery could not {what} in time; it goes on"),
    }
}

/// As many as there are: otherwise the table would grow where more are used than removed.
async fn forget_expired_keys(runner: &Runner) -> Result<(), Error> {
    while runner.store.forget_expired_requests(BATCH).await? == u64::from(BATCH) {}
    Ok(())
}

async fn count_parked_orders(runner: &Runner) -> Result<(), Error> {
    let parked = runner.store.count_parked_orders().await?;
    runner.metrics.orders_parked.set(parked);
    Ok(())
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
