//! Waiting until the shop is at rest: nothing unsettled, unacknowledged, untold or held.

use std::time::{Duration, Instant};

use super::redis::Redis;
use super::{Error, mysql};
use crate::config::Config;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until the shop is at rest, `patience` at most. A server that is away is waited for, too.
pub async fn wait(config: &Config, patience: Duration) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let is_at_rest = look(config).await;
        if matches!(is_at_rest, Ok(true)) {
            return Ok(());
        }
        if started.elapsed() >= patience {
            return is_at_rest.map(drop);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(config: &Config) -> Result<bool, Error> {
    let mut connection = mysql::open(&config.mysql).await?;
    if !mysql::in_flight(&mut connection).await?.is_nothing() {
        return Ok(false);
    }
    let names = mysql::product_names(&mut connection).await?;
    let ledgers = Redis::open(&config.redis).await?.ledgers(&names).await?;
    Ok(ledgers.iter().flatten().all(|ledger| ledger.held == 0))
}
