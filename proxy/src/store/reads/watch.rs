//! Looking at the replica each second: does it answer, and how far has it come?

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::MySqlPool;

use super::lag::{Beats, serves};
use super::{PATIENCE, Replica};
use crate::store::Error;
use crate::telemetry::reading::Reading;

/// From one look to the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Decides about the replica, again and again.
pub(super) async fn run(primary: &MySqlPool, replica: &Replica, metrics: &Reading) -> Infallible {
    let mut beats = Beats::default();
    loop {
        look(&mut beats, primary, replica, metrics).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn look(beats: &mut Beats, primary: &MySqlPool, replica: &Replica, metrics: &Reading) {
    let asked_at = Instant::now();
    let beat = in_time(count_up(primary)).await;
    if let Ok(beat) = &beat {
        beats.beat(*beat, asked_at);
    }
    let shown = match in_time(shown(&replica.pool)).await {
        Ok(shown) => shown,
        Err(error) => {
            replica.give_up(&error);
            metrics.replica_serves.set(0);
            return;
        }
    };
    let lag = beats.lag(shown, Instant::now());
    let serves = serves(lag, replica.max_lag, beat.is_ok());
    let lag_seconds = lag.unwrap_or_default().as_secs_f64();
    metrics.replica_lag_seconds.set(lag_seconds);
    metrics.replica_serves.set(serves.into());
    match (replica.serves.swap(serves, Ordering::Relaxed), serves) {
        (true, false) => tracing::warn!(lag_seconds, "the replica lags; the primary is read"),
        (false, true) => tracing::info!(lag_seconds, "the replica is read"),
        _ => {}
    }
}

async fn count_up(primary: &MySqlPool) -> Result<i64, sqlx::Error> {
    // The count comes back with the update itself, whoever else counts at the same time.
    let update = "UPDATE replica_heartbeat SET beat = LAST_INSERT_ID(beat + 1) WHERE id = 1";
    let done = sqlx::query(update).execute(primary).await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

async fn shown(replica: &MySqlPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT beat FROM replica_heartbeat WHERE id = 1")
        .fetch_one(replica)
        .await
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Unanswered),
    }
}
