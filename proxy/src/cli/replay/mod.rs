//! `holdfast replay`

mod crowd;
mod order_log;
mod progress;
mod report;
mod sessions;
mod shop;
mod shopper;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::output::say;
use crate::config::Config;
use crate::retail::account::{Fate, Outcome};
use crate::retail::invoice::{Workload, gather};
use crate::retail::report::malformed_rows;
use crate::retail::sheet::{Form, Sheet};
use order_log::OrderLog;
use report::Report;
use shop::Shop;
use shopper::Shopper;

/// Drive real orders from a CSV file through the HTTP API, as shoppers would.
///
/// The file has the columns of the Online Retail data set. Each customer has a guest session (an
/// invoice that names no customer has its own), views what is about to be bought, and orders all
/// lines of the invoice at once; lines of one SKU become one item. An order that the shop refuses
/// counts all its lines as refused. Cancelled invoices bring their units back into stock.
///
/// The shop may be stopped, killed and started again meanwhile: what got no answer is sent again
/// under the same Idempotency-Key until it is known what came of it.
///
/// Every row of the file is accounted for at the end: sold, returned, refused (why), skipped (why)
/// or failed (why; nobody knows what came of it). The exit code is 0 when the rows add up to the
/// file and none failed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The CSV file, UTF-8; a byte-order mark is allowed. Its products must have been imported.
    file: PathBuf,
    /// Where the shop's API is [default: http.listen of the configuration]. Given several times,
    /// once for each proxy of the shop: requests go to one after the other, and one that got no
    /// answer is sent again to the next.
    #[arg(long, value_name = "URL")]
    url: Vec<reqwest::Url>,
    /// Invoices on their way at once; they are started in the order of the file.
    #[arg(long, value_name = "INVOICES", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// What becomes of cancelled invoices. Returns go through after all sales, with the operator's
    /// token (auth.operator_token_file).
    #[arg(long, value_enum, default_value_t = Cancellations::Returns)]
    cancellations: Cancellations,
    /// The card that all shoppers pay with. The payment sandbox declines 4000000000000002.
    #[arg(long, value_name = "NUMBER", default_value = "4242424242424242")]
    card: String,
    /// Replay only this many invoices that sell, from the beginning of the file, and no returns.
    #[arg(long, value_name = "INVOICES")]
    limit: Option<usize>,
    /// How long a request is repeated before its outcome is given up as unknown, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// Append each order that was answered 201 to this file, as `invoice,order_id,total_minor`, as
    /// soon as the answer is there.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// How to print the report at the end.
    #[arg(long, value_enum, default_value_t = ReportForm::Text)]
    report: ReportForm,
}

/// What becomes of cancelled invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cancellations {
    /// Their units come back into stock.
    Returns,
    /// They are left out.
    Skip,
}

/// How the report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportForm {
    /// For people.
    Text,
    /// One JSON object, amounts in minor units.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  holdfast --config shop.toml import online-retail.csv
  holdfast --config shop.toml replay online-retail.csv
  holdfast --config shop.toml replay online-retail.csv --concurrency 64 --cancellations skip
  holdfast --config shop.toml replay online-retail.csv --limit 10 --report json";

pub(super) async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let sheet = Sheet::open(&options.file)?;
    ensure!(
        sheet.form == Form::Retail,
        "'{}' is a catalogue; only the Online Retail columns have orders to replay",
        options.file.display()
    );
    let mut workload = gather(&sheet, options.limit);
    if options.cancellations == Cancellations::Skip {
        leave_out_returns(&mut workload);
    }
    let operator_token = config.auth.operator_token.clone();
    if operator_token.is_none() && !workload.returns.is_empty() {
        bail!(
            "returns need the operator's token: set auth.operator_token_file, \
             or leave them out with --cancellations skip"
        );
    }
    eprint!("{}", malformed_rows(&workload.malformed));
    let shop = Shop::new(
        urls(config, options)?,
        Duration::from_secs(options.patience),
        operator_token,
    )?;
    shop.wait_until_open().await?;

    let run_id = run_id();
    let orders = options.orders.as_deref().map(OrderLog::open).transpose()?;
    let shopper = Shopper::new(shop, run_id.clone(), options.card.clone(), orders);
    let started = Instant::now();
    let Workload {
        sales,
        returns,
        malformed,
        mut account,
    } = workload;
    let counts = crowd::serve(
        &shopper,
        &sales,
        &returns,
        options.concurrency.into(),
        &mut account,
    )
    .await?;

    let report = Report {
        run_id,
        file: options.file.display().to_string(),
        url: shopper.shop().place(),
        elapsed: started.elapsed(),
        currency: shopper.currency(),
        counts,
        account: &account,
        malformed: &malformed,
    };
    match options.report {
        ReportForm::Text => say(report.text().trim_end())?,
        ReportForm::Json => say(report.json())?,
    }
    ensure!(
        account.gaps().is_empty(),
        "the account does not add up to the file; this is a fault of holdfast"
    );
    match account.count(Outcome::Failed) {
        0 => Ok(()),
        failed => bail!("nobody knows what came of {failed} rows; see 'failed' in the report"),
    }
}

fn leave_out_returns(workload: &mut Workload) {
    for line in workload.returns.drain(..).flat_map(|invoice| invoice.lines) {
        workload
            .account
            .settle(line.row, Fate::skipped("cancellation"));
    }
}

/// Where the shop is: as told, or where this configuration would open it.
fn urls(config: &Config, options: &Options) -> anyhow::Result<Vec<reqwest::Url>> {
    if let [first, ..] = options.url.as_slice() {
        for url in &options.url {
            ensure!(
                url.scheme() == "http",
                "--url must begin with http://, not '{}'",
                url.scheme()
            );
            ensure!(
                url.path() == first.path(),
                "proxies of one shop have one path; '{first}' and '{url}' differ"
            );
        }
        return Ok(options.url.clone());
    }
    let mut listen = config.http.listen;
    // An address to listen on everywhere is none to connect to.
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip([127, 0, 0, 1].into()),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            listen.set_ip(std::net::Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    ensure!(
        listen.port() != 0,
        "http.listen names no port; say where the shop is with --url"
    );
    let url = format!("http://{listen}").parse();
    Ok(vec![url.context("http.listen makes no URL")?])
}

/// Twelve random hex digits: two replays never share an idempotency key, and the key of a return
/// stays within the 64 characters of an adjustment id.
fn run_id() -> String {
    let id = Uuid::new_v4().simple().to_string();
    id.chars().take(12).collect()
}
