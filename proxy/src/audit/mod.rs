//! `holdfast audit`: the invariants A to E of ARCHITECTURE.md, checked on the servers' data alone.
//!
//! It does not trust the code that it audits, so nothing of that code is used here: readers with SQL,
//! commands and a consumer of their own fill an [`evidence::Evidence`], and one pure function an
//! invariant judges it.
//!
//! The servers are read one after the other while the shop may be selling. What makes the evidence
//! fit together is the order: Kafka's ends, Redis, MySQL in one snapshot, Redis and Kafka's ends
//! again. What was in Kafka before the snapshot must be in it; what it demands must be in Kafka after
//! it, or in its outbox; and what Redis had confirmed before it must be sold in it.

mod closer_look;
mod converge;
mod evidence;
mod history;
mod kafka;
mod mysql;
mod never_lose_a_sale;
mod never_oversell;
mod never_strand_stock;
mod primary;
mod reach;
mod redis;
mod report;
mod rest;
mod tell_all;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::config::Config;
use evidence::Evidence;
use kafka::Topic;
use mysql::Snapshot;
pub use report::Report;

/// What is asked of an audit.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// Nothing may be in flight.
    pub at_rest: bool,
    /// How long to wait for rest before the audit.
    pub patience: Option<Duration>,
    /// Orders that were answered 201.
    pub acknowledged: Vec<Uuid>,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MySQL.
    #[error("mysql cannot be read: {0}")]
    Mysql(#[from] sqlx::Error),
    /// No host of mysql.url takes writes.
    #[error("mysql cannot be read: no host of mysql.url is the primary")]
    NoPrimary,
    /// `mysql.url` is none.
    #[error(transparent)]
    Configuration(#[from] crate::config::Error),
    /// Redis.
    #[error("redis cannot be read: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// Kafka.
    #[error("kafka cannot be read: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// Kafka has more, and does not give it.
    #[error("kafka gave nothing more for {} s, before the end of the topic", .0.as_secs())]
    KafkaSilent(Duration),
    /// A thread of the audit ended.
    #[error("the audit was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Reads the servers and judges.
///
/// # Errors
/// When a server cannot be read; then nothing is said of the shop.
pub async fn run(config: &Config, demands: Demands) -> Result<Report, Error> {
    if let Some(patience) = demands.patience {
        rest::wait(config, patience).await?;
    }
    let started = Instant::now();
    let evidence = gather(config, demands.acknowledged).await?;
    let verdicts = vec![
        never_oversell::judge(&evidence),
        never_lose_a_sale::judge(&evidence),
        never_strand_stock::judge(&evidence),
        converge::judge(&evidence, demands.at_rest),
        tell_all::judge(&evidence),
    ];
    Ok(Report {
        sound: verdicts.iter().all(verdict::Verdict::is_sound),
        moving_skus: evidence.stocks.moving(),
        looked_at: report::LookedAt {
            skus: evidence.stocks.len() as u64,
            orders: evidence.orders.len() as u64,
            lines: evidence.orders.line_count() as u64,
            stock_changes: evidence.stocks.iter().map(|stock| stock.log.rows).sum(),
            events: evidence.events.in_kafka,
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        },
        in_flight: evidence.in_flight,
        verdicts,
    })
}

async fn gather(config: &Config, acknowledged: Vec<Uuid>) -> Result<Evidence, Error> {
    let mut evidence = Evidence {
        acknowledged,
        ..Evidence::default()
    };
    let settings = config.kafka.clone();
    let topic = Arc::new(spawn_blocking(move || Topic::open(&settings)).await??);
    let mut connection = mysql::open(&config.mysql).await?;
    let mut redis = redis::Redis::open(&config.redis).await?;

    let early = ends(&topic).await?;
    let names = mysql::product_names(&mut connection).await?;
    redis.read(names, &mut evidence).await?;
    let mut snapshot = Snapshot::begin(connection).await?;
    let names: Vec<_> = evidence
        .stocks
        .iter()
        .map(|stock| stock.name.clone())
        .collect();
    let again = redis.ledgers(&names).await?;
    let last = ends(&topic).await?;

    evidence.in_flight.held_units = again.iter().flatten().map(|ledger| ledger.held).sum();
    snapshot.read(&mut evidence).await?;
    let (read, mut evidence) = spawn_blocking(move || {
        let read = topic.read(&early, &last, &mut evidence);
        (read, evidence)
    })
    .await?;
    read?;
    snapshot.read_outbox(&mut evidence).await?;
    evidence.events.sort();
    let mut connection = snapshot.end().await?;

    closer_look::at_holds(&mut redis, &mut evidence).await?;
    closer_look::at_outcomes(&mut redis, &mut evidence).await?;
    closer_look::compare(&again, &mut connection, &mut redis, &mut evidence).await?;
    Ok(evidence)
}

async fn ends(topic: &Arc<Topic>) -> Result<kafka::Ends, Error> {
    let topic = Arc::clone(topic);
    spawn_blocking(move || topic.ends()).await?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The audit would prove nothing if it read the shop with the shop's own eyes.
    #[test]
    fn nothing_of_the_audited_code_is_used() {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit");
        let mut rooms = vec![room];
        let mut files = 0;
        while let Some(room) = rooms.pop() {
            for entry in std::fs::read_dir(room).expect("the room") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    rooms.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a source file");
                assert_eq!(foreign(&text), Vec::<&str>::new(), "{}", path.display());
                files += 1;
            }
        }
        assert!(files > 10, "only {files} files were looked at");
    }

    /// Paths of this crate that lead out of the room, but for the configuration.
    fn foreign(text: &str) -> Vec<&str> {
        let paths = text.split("crate::").skip(1);
        let names = paths.map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        });
        names
            .flatten()
            .filter(|name| !matches!(*name, "audit" | "config" | ""))
            .collect()
    }

    #[test]
    fn a_path_that_leads_out_of_the_room_is_seen() {
        let inside = concat!("use crate", "::config::Config; use super::Error;");
        assert!(foreign(inside).is_empty());
        let outside = concat!("use crate", "::store::Store; crate", "::saga::machine");
        assert_eq!(foreign(outside), ["store", "saga"]);
    }
}
