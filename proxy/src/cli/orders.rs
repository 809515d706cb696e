//! `holdfast orders`

use anyhow::bail;
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::config::Config;
use crate::store::Store;
use crate::store::parked_orders::ParkedOrder;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Parked(ParkedOptions),
    Retry(RetryOptions),
}

/// Name the orders that need a person, oldest first.
///
/// An order is parked when it cannot be finished however often it is tried, such as when the
/// payment provider refuses for good to give the money back. Its units are free again by then.
#[derive(Debug, Args)]
pub(super) struct ParkedOptions {
    /// Print one JSON array, for other programs.
    #[arg(long)]
    json: bool,
    /// How many orders to name.
    #[arg(long, default_value_t = 100, value_name = "ORDERS")]
    limit: u32,
}

/// Give parked orders to recovery again, which goes on where they stopped.
///
/// Remove first what stopped them; what is refused again is parked again. A proxy that serves
/// takes them up within `recovery.interval_ms`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RetryOptions {
    /// Ids of orders.
    #[arg(
        value_name = "ORDER",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    orders: Vec<Uuid>,
    /// Every order that is parked.
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  holdfast orders parked               which orders, and why
  holdfast orders retry 019377a0-…     one of them
  holdfast orders retry --all          every one";

pub(super) async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = Store::open(&config.mysql, &config.commit)?;
    store.is_ready().await?;
    match command {
        Command::Parked(options) => name_parked(&store, options).await,
        Command::Retry(options) if options.all => {
            let retried = store.retry_parked(None).await?;
            println!("{retried} orders go on");
            Ok(())
        }
        Command::Retry(options) => retry(&store, &options.orders).await,
    }
}

async fn name_parked(store: &Store, options: &ParkedOptions) -> anyhow::Result<()> {
    let parked = store.parked_orders(options.limit).await?;
    if options.json {
        println!("{}", serde_json::to_string(&parked)?);
        return Ok(());
    }
    println!("{} orders are parked", store.count_parked_orders().await?);
    for order in &parked {
        println!("{}", line(order));
    }
    Ok(())
}

async fn retry(store: &Store, orders: &[Uuid]) -> anyhow::Result<()> {
    let mut unknown = Vec::new();
    for order in orders {
        match store.retry_parked(Some(*order)).await? {
            0 => unknown.push(order.to_string()),
            _ => println!("{order} goes on"),
        }
    }
    if !unknown.is_empty() {
        bail!(
            "{} is not parked; see 'holdfast orders parked'",
            unknown.join(", ")
        );
    }
    Ok(())
}

/// Such as `019377a0-…  12.95 GBP  payment_timeout  2026-11-21T01:52:34Z  the payment provider …`.
fn line(order: &ParkedOrder) -> String {
    let placed_at = order
        .created_at
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    format!(
        "{}  {}.{:02} {}  {}  {placed_at}  {}",
        order.order_id,
        order.total_minor / 100,
        order.total_minor % 100,
        order.currency,
        order.reason.as_deref().unwrap_or("-"),
        order.error.as_deref().unwrap_or("-"),
    )
}
