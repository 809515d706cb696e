//! `holdfast events tail`

mod reader;
mod telling;

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;

use crate::config::Config;
use reader::{Message, Reader};

/// Print the events of orders and stock from Kafka as they arrive, one line each.
///
/// A line says when it happened, what, to which order, and a sentence more. Nothing is committed to
/// Kafka, so reading changes nothing for anybody else.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Begin with the oldest event that Kafka still has, instead of those yet to come.
    #[arg(long)]
    from_beginning: bool,
    /// Print only the events of this order (or, for stock events, of this SKU).
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Print each event as one JSON object with its key, headers and body, for other programs.
    #[arg(long)]
    json: bool,
    /// Print what there is from the beginning and end, instead of waiting for more.
    #[arg(long)]
    no_follow: bool,
    /// End after this many events were printed.
    #[arg(long, value_name = "EVENTS")]
    limit: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  holdfast events tail                                    watch the shop sell
  holdfast events tail --no-follow                        everything that happened so far
  holdfast events tail --no-follow --order 019377a0-…     the story of one order
  holdfast events tail --no-follow --json | jq .type      for other programs";

pub(super) async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let from_beginning = options.from_beginning || options.no_follow;
    let reader = Reader::open(&config.kafka, from_beginning).await?;
    let mut left = options.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(message) = reader.next(!options.no_follow).await else {
            break;
        };
        if options
            .order
            .as_ref()
            .is_some_and(|order| !message.is_about(order))
        {
            continue;
        }
        if !print(&message, options.json)? {
            break;
        }
        left -= 1;
    }
    Ok(())
}

/// Prints one event at once; false when nobody reads any more, as in `… | head -1`.
fn print(message: &Message, json: bool) -> anyhow::Result<bool> {
    let line = if json {
        message.to_json().to_string()
    } else {
        telling::tell(message)
    };
    let mut output = io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write the events"),
    }
}
