//! `holdfast orders`

use std::fmt;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::output::say;
use super::parked::{ListOptions, moment, retry_each};
use super::servers;
use crate::config::Config;
use crate::store::parked_orders::ParkedOrder;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Name the orders that need a person, oldest first.
    ///
    /// An order is parked when it cannot be finished however often it is tried, such as when the
    /// payment provider refuses for good to give the money back. Its units are free again by then.
    Parked(ListOptions),
    Retry(RetryOptions),
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

#[derive(Serialize)]
#[serde(transparent)]
struct List {
    #[serde(skip)]
    count: i64,
    parked: Vec<ParkedOrder>,
}

pub(super) async fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    let store = servers::store(config).await?;
    match command {
        Command::Parked(options) => options.print(&List {
            count: store.count_parked_orders().await?,
            parked: store.parked_orders(options.limit).await?,
        }),
        Command::Retry(options) if options.all => {
            let retried = store.retry_parked(None).await?;
            Ok(say(format_args!("{retried} orders go on"))?)
        }
        Command::Retry(options) => {
            let retry = async |order: &Uuid| store.retry_parked(Some(*order)).await;
            let told = |_| "goes on".to_owned();
            retry_each(&options.orders, "orders parked", retry, told).await
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} orders are parked", self.count)?;
        for order in &self.parked {
            write!(
                formatter,
                "\n{}  {}.{:02} {}  {}  {}  {}",
                order.order_id,
                order.total_minor / 100,
                order.total_minor % 100,
                order.currency,
                order.reason.as_deref().unwrap_or("-"),
                moment(order.created_at),
                order.error.as_deref().unwrap_or("-"),
            )?;
        }
        Ok(())
    }
}
