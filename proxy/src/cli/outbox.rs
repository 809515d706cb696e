//! `holdfast outbox`

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::Config;
use crate::store::Store;
use crate::store::parked_events::{Backlog, ParkedKey};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(ListOptions),
    Retry(RetryOptions),
}

/// Say how much waits for Kafka and for how long, and which events are parked.
///
/// An event that Kafka refuses for good, such as one that is longer than the topic takes, is parked,
/// and later events of the same order behind it, so that nothing overtakes it.
#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Print one JSON object, for other programs.
    #[arg(long)]
    json: bool,
    /// How many orders with parked events to name.
    #[arg(long, default_value_t = 100, value_name = "ORDERS")]
    limit: u32,
}

/// Let parked events go to Kafka again, those of an order all at once and in their order.
///
/// Remove first what made Kafka refuse them; what is refused again is parked again. A proxy that
/// serves sends them within a second.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RetryOptions {
    /// The message keys: ids of orders, or SKUs.
    #[arg(
        value_name = "KEY",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    keys: Vec<String>,
    /// Everything that is parked.
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  holdfast outbox list                 what waits, and why
  holdfast outbox retry 019377a0-…     the events of one order
  holdfast outbox retry --all          everything that is parked";

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    backlog: Backlog,
    parked: Vec<ParkedKey>,
}

pub(super) async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = Store::open(&config.mysql, &config.commit)?;
    store.is_ready().await?;
    match command {
        Command::List(options) => list(&store, options).await,
        Command::Retry(options) if options.all => {
            let retried = store.retry_all_parked_events().await?;
            println!("{}", told(retried));
            Ok(())
        }
        Command::Retry(options) => retry(&store, &options.keys).await,
    }
}

async fn list(store: &Store, options: &ListOptions) -> anyhow::Result<()> {
    let report = Report {
        backlog: store.backlog().await?,
        parked: store.parked_events(options.limit).await?,
    };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let Backlog {
        rows,
        parked_rows,
        oldest_age_seconds,
    } = report.backlog;
    println!(
        "{} events wait for Kafka, the oldest for {oldest_age_seconds:.1} s; {parked_rows} are parked",
        rows - parked_rows
    );
    for key in &report.parked {
        println!("{}", line(key));
    }
    Ok(())
}

async fn retry(store: &Store, keys: &[String]) -> anyhow::Result<()> {
    let mut unknown = Vec::new();
    for key in keys {
        match store.retry_parked_events(key).await? {
            0 => unknown.push(key.as_str()),
            retried => println!("{key}: {}", told(retried)),
        }
    }
    if !unknown.is_empty() {
        bail!(
            "no event of {} is parked; see 'holdfast outbox list'",
            unknown.join(", ")
        );
    }
    Ok(())
}

fn told(retried: u64) -> String {
    match retried {
        1 => "1 event goes to Kafka again".to_owned(),
        _ => format!("{retried} events go to Kafka again"),
    }
}

/// Such as `019377a0-…  OrderCreated, 2 more behind it  2026-11-21T01:52:34Z  Message size too large`.
fn line(parked: &ParkedKey) -> String {
    let behind = match parked.rows {
        1 => String::new(),
        rows => format!(", {} more behind it", rows - 1),
    };
    let at = parked
        .parked_at
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    format!(
        "{}  {}{behind}  {at}  {}",
        parked.key, parked.event_type, parked.error
    )
}
