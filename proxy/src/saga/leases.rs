//! The leases of the sagas that this process runs, kept as long as it lives: what takes longer
//! than a lease is not taken up by another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::runner::Runner;

/// Which orders this process is at. An order can have two sagas, its own and its cancellation.
#[derive(Debug, Default)]
pub struct Leases {
    running: Arc<Mutex<HashMap<Uuid, Running>>>,
}

/// A saga that runs. Dropped, however that comes about, its order is left to whoever finds it.
#[derive(Debug)]
pub struct Lease {
    running: Arc<Mutex<HashMap<Uuid, Running>>>,
    saga: Uuid,
}

#[derive(Debug)]
struct Running {
    order: Uuid,
    since: Instant,
}

impl Leases {
    /// A saga of `order` begins.
    pub fn begin(&self, saga: Uuid, order: Uuid) -> Lease {
        let since = Instant::now();
        lock(&self.running).insert(saga, Running { order, since });
        Lease {
            running: self.running.clone(),
            saga,
        }
    }

    /// The orders, sorted, whose sagas have run for `age` and longer: most end sooner, and are
    /// spared the renewal.
    fn older_than(&self, age: Duration) -> Vec<Uuid> {
        let running = lock(&self.running);
        let old = running
            .values()
            .filter(|running| running.since.elapsed() >= age);
        let mut orders: Vec<Uuid> = old.map(|running| running.order).collect();
        drop(running);
        orders.sort_unstable();
        orders.dedup();
        orders
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.saga);
    }
}

fn lock(running: &Mutex<HashMap<Uuid, Running>>) -> MutexGuard<'_, HashMap<Uuid, Running>> {
    // Nothing in here panics while it holds the lock.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews the leases three times before they run out, until `stop`.
pub async fn renew(runner: Arc<Runner>, stop: CancellationToken) {
    let lease_ms = runner.recovery.lease_ms;
    let interval = Duration::from_millis((lease_ms * 3 / 10).max(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let orders = runner.leases.older_than(interval);
        let renewed = runner
            .store
            .answered(runner.store.renew_leases(&orders, lease_ms))
            .await;
        if let Err(error) = renewed {
            tracing::warn!(%error, orders = orders.len(), "leases could not be renewed; another proxy may take the orders up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_kept_as_long_as_one_of_its_sagas_runs() {
        let leases = Leases::default();
        let [own, cancellation, other] = [1, 2, 3].map(Uuid::from_u128);
        let [order, another] = [12, 11].map(Uuid::from_u128);
        let own = leases.begin(own, order);
        let cancellation = leases.begin(cancellation, order);
        let _other = leases.begin(other, another);
        assert_eq!(leases.older_than(Duration::ZERO), [another, order]);
        drop(own);
        assert_eq!(leases.older_than(Duration::ZERO), [another, order]);
        drop(cancellation);
        assert_eq!(leases.older_than(Duration::ZERO), [another]);
        assert!(leases.older_than(Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn a_saga_that_panics_keeps_its_order_from_nobody() {
        let leases = Leases::default();
        let begun = leases.begin(Uuid::from_u128(1), Uuid::from_u128(11));
        let panicked = std::thread::spawn(move || {
            let _begun = begun;
            panic!("as a saga might");
        });
        assert!(panicked.join().is_err());
        assert!(leases.older_than(Duration::ZERO).is_empty());
    }
}
