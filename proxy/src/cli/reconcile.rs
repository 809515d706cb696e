//! `holdfast reconcile`

use std::io;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::output::say;
use super::servers;
use crate::catalogue::Sku;
use crate::catalogue::stock_change::deliver_unacknowledged;
use crate::config::Config;
use crate::reconcile::Servers;
use crate::reconcile::report::Report;
use crate::reconcile::walk::{PAGE, Task, Walk, reconcile};
use crate::store::Store;

/// Compare the stock in Redis with MySQL, and put it right with --fix.
///
/// Safe at any time, also while the shop sells: what changes meanwhile is looked at again, never
/// corrected on an old look. Ends with 0 when nothing is wrong or all of it was fixed, 1 when
/// something is left, 2 when a server gave no answer or there is no such product.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Put right what is wrong.
    #[arg(long)]
    fix: bool,
    /// One JSON object a line: what is wrong with each SKU, and the sum as the last.
    #[arg(long)]
    json: bool,
    /// Only this SKU; may be given several times.
    #[arg(long, value_name = "SKU")]
    sku: Vec<Sku>,
}

/// What a whole run came to.
#[derive(Debug, Default, serde::Serialize)]
struct Sum {
    compared: u64,
    wrong: u64,
    fixed: u64,
    moving: u64,
}

pub(super) async fn run(config: &Config, options: Options) -> ExitCode {
    match compare(config, options).await {
        Ok(sum) if sum.wrong == sum.fixed && sum.moving == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!(
                "holdfast: the stock could not be compared: {}",
                super::told(&error)
            );
            ExitCode::from(2)
        }
    }
}

async fn compare(config: &Config, options: Options) -> anyhow::Result<Sum> {
    let task = Task {
        fix: options.fix,
        orphan_age_ms: config.reconcile.orphan_age_ms,
        is_in_doubt: false,
    };
    let servers = &Servers {
        gateway: servers::gateway(config).await?,
        store: servers::store(config).await?,
    };
    refuse_unknown(&servers.store, &options.sku).await?;
    if task.fix {
        deliver_unacknowledged(&servers.store, &servers.gateway).await?;
    }
    let mut sum = Sum::default();
    if options.sku.is_empty() {
        let mut walk = Walk::default();
        while let Some(report) = walk.next(servers, task).await? {
            sum.add(&report, options.json)?;
        }
    } else {
        for skus in options.sku.chunks(PAGE as usize) {
            let report = reconcile(servers, skus.to_vec(), task).await?;
            sum.add(&report, options.json)?;
        }
    }
    sum.print(options.json)?;
    Ok(sum)
}

/// A misspelt SKU would be found to have nothing wrong with it.
async fn refuse_unknown(store: &Store, skus: &[Sku]) -> anyhow::Result<()> {
    let named: Vec<&Sku> = skus.iter().collect();
    let entries = store.entries(&named).await?;
    let is_known = |sku: &&Sku| entries.iter().any(|entry| entry.product.sku == **sku);
    match named.iter().find(|sku| !is_known(sku)) {
        Some(sku) => bail!("there is no product {sku}"),
        None => Ok(()),
    }
}

impl Sum {
    /// Adds a page, and prints what is wrong there.
    fn add(&mut self, report: &Report, json: bool) -> io::Result<()> {
        self.compared += report.compared;
        for finding in &report.findings {
            self.wrong += 1;
            self.fixed += u64::from(finding.fixed);
            if json {
                say(json!(finding))?;
            } else {
                say(finding)?;
            }
        }
        self.moving += report.moving.len() as u64;
        for sku in &report.moving {
            if json {
                say(json!({ "sku": sku, "compared": false }))?;
            } else {
                say(format_args!(
                    "{sku}: it changed all the while and was not compared"
                ))?;
            }
        }
        Ok(())
    }

    fn print(&self, json: bool) -> io::Result<()> {
        if json {
            return say(json!(self));
        }
        let Self {
            compared,
            wrong,
            fixed,
            moving,
        } = self;
        say(format_args!(
            "{compared} products compared: {wrong} wrong, {fixed} of them fixed; \
             {moving} changed all the while and were not compared"
        ))
    }
}
