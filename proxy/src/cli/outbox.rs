//! `holdfast outbox`

use std::fmt;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::say;
use super::parked::{ListOptions, moment, retry_each};
use super::servers;
use crate::config::Config;
use crate::store::parked_events::{Backlog, ParkedKey};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say how much waits for Kafka and for how long, and which events are parked.
    ///
    /// An event that Kafka refuses for good, such as one that is longer than the topic takes, is
    /// parked, and later events of the same order behind it, so that nothing overtakes it.
    List(ListOptions),
    Retry(RetryOptions),
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

#[derive(Serialize)]
struct List {
    #[serde(flatten)]
    backlog: Backlog,
    parked: Vec<ParkedKey>,
}

pub(super) async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = servers::store(config).await?;
    match command {
        Command::List(options) => options.print(&List {
            backlog: store.backlog().await?,
            parked: store.parked_events(options.limit).await?,
        }),
        Command::Retry(options) if options.all => {
            Ok(say(told(store.retry_all_parked_events().await?))?)
        }
        Command::Retry(options) => {
            let retry = async |key: &String| store.retry_parked_events(key).await;
            retry_each(&options.keys, "outbox list", retry, told).await
        }
    }
}

fn told(retried: u64) -> String {
    match retried {
        1 => "1 event goes to Kafka again".to_owned(),
        _ => format!("{retried} events go to Kafka again"),
    }
}

impl fmt::Display for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backlog {
            rows,
            parked_rows,
            oldest_age_seconds,
        } = self.backlog;
        write!(
            formatter,
            "{} events wait for Kafka, the oldest for {oldest_age_seconds:.1} s; {parked_rows} are parked",
            rows - parked_rows
        )?;
        for key in &self.parked {
            write!(formatter, "\n{}  {}", key.key, key.event_type)?;
            if key.rows > 1 {
                write!(formatter, ", {} more behind it", key.rows - 1)?;
            }
            write!(formatter, "  {}  {}", moment(key.parked_at), key.error)?;
        }
        Ok(())
    }
}
