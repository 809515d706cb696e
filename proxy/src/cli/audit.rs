//! `holdfast audit`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use uuid::Uuid;

use super::output::say;
use crate::audit::{self, Demands};
use crate::config::Config;

/// Check that nothing was oversold, lost, stranded or left untold, by the servers' data alone.
///
/// Reads MySQL, Redis and Kafka and changes nothing; the shop may be selling meanwhile. Prints what
/// was checked, or each order and SKU that breaks an invariant of ARCHITECTURE.md.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Options {
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// Demand that nothing is in flight: no order, no event, no stock change, no hold.
    #[arg(long)]
    at_rest: bool,
    /// Wait until nothing is in flight, for so long at most, before the audit begins.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Demand that these orders are sold: ids that clients were answered 201 for, one a line.
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Exit code: 0 every invariant holds, 1 one is broken, 2 a server could not be read.

Examples:
  holdfast audit                                       while the shop sells
  holdfast audit --wait 30 --at-rest                   after the rush
  holdfast audit --json | jq '.verdicts[].breaches[]'  for other programs";

pub(super) async fn run(config: &Config, options: &Options) -> ExitCode {
    match look(config, options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("holdfast: {}", super::told(&error));
            ExitCode::from(2)
        }
    }
}

async fn look(config: &Config, options: &Options) -> anyhow::Result<bool> {
    let acknowledged = match &options.acknowledged {
        Some(file) => read_acknowledged(file)?,
        None => Vec::new(),
    };
    let demands = Demands {
        at_rest: options.at_rest,
        patience: options.wait.map(Duration::from_secs),
        acknowledged,
    };
    let report = audit::run(config, demands).await?;
    if options.json {
        say(serde_json::to_string_pretty(&report)?)?;
    } else {
        say(&report)?;
    }
    Ok(report.sound)
}

fn read_acknowledged(file: &Path) -> anyhow::Result<Vec<Uuid>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let lines = text
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    let ids = lines.map(|(number, line)| {
        let id = Uuid::try_parse(line);
        id.with_context(|| format!("{name}, line {}: '{line}' is no order's id", number + 1))
    });
    ids.collect()
}
