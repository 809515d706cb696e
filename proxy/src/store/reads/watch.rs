//! Looking at the replicas each second: do they answer, and how far have they come?

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::MySqlPool;

use super::lag::{Beats, serves};
use super::{Reads, Replica, in_time};
use crate::store::Error;
use crate::store::primary::Primary;

/// From one look to the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Decides about the replicas, again and again.
pub(super) async fn run(reads: &Reads) -> Infallible {
    let mut beats = Beats::default();
    loop {
        look(&mut beats, reads).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn look(beats: &mut Beats, reads: &Reads) {
    let asked_at = Instant::now();
    let beat = in_time(count_up(&reads.primary)).await;
    if let Ok(beat) = &beat {
        beats.beat(*beat, asked_at);
    }
    let looks = reads.replicas.iter().map(|replica| {
        let beats = &*beats;
        let primary_answers = beat.is_ok();
        async move { look_at(replica, beats, reads.max_lag, primary_answers).await }
    });
    let lags = join_all(looks).await;
    let metrics = &reads.metrics.reading;
    if let Some(least) = lags.iter().flatten().min() {
        metrics.replica_lag_seconds.set(least.as_secs_f64());
    }
    let serving = reads
        .replicas
        .iter()
        .filter(|replica| replica.serves())
        .count();
    metrics
        .replica_serves
        .set(i64::try_from(serving).unwrap_or(i64::MAX));
}

/// Decides about one, and answers how far it is behind, if it says so.
async fn look_at(
    replica: &Replica,
    beats: &Beats,
    max_lag: Duration,
    primary_answers: bool,
) -> Option<Duration> {
    let shown = match in_time(shown(&replica.pool)).await {
        Ok(shown) => shown,
        Err(error) => {
            replica.give_up(&error);
            return None;
        }
    };
    let lag = beats.lag(shown, Instant::now());
    let serves = serves(lag, max_lag, primary_answers);
    let lag_seconds = lag.unwrap_or_default().as_secs_f64();
    match (replica.serves.swap(serves, Ordering::Relaxed), serves) {
        (true, false) => {
            tracing::warn!(
                replica = replica.name,
                lag_seconds,
                "this replica lags; another server is read"
            );
        }
        (false, true) => {
            tracing::info!(replica = replica.name, lag_seconds, "this replica is read")
        }
        _ => {}
    }
    Some(lag.unwrap_or_default())
}

async fn count_up(primary: &Primary) -> Result<i64, Error> {
    // The count comes back with the update itself, whoever else counts at the same time.
    let update = "UPDATE replica_heartbeat SET beat = LAST_INSERT_ID(beat + 1) WHERE id = 1";
    let done = sqlx::query(update).execute(&primary.pool().await?).await?;
    Ok(i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX))
}

async fn shown(replica: &MySqlPool) -> Result<i64, Error> {
    let beat = sqlx::query_scalar("SELECT beat FROM replica_heartbeat WHERE id = 1");
    Ok(beat.fetch_one(replica).await?)
}
