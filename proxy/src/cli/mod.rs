//! The commands of the `holdfast` binary, one file each.

mod audit;
mod config_check;
#[cfg(test)]
mod documentation;
mod events;
mod import;
mod migrate;
mod orders;
mod outbox;
mod output;
mod parked;
mod reconcile;
mod replay;
mod serve;
mod servers;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::telemetry;

/// Holdfast keeps a shop honest under a rush: it never sells a unit that it does not have and
/// never loses an order that it accepted.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = AFTER_HELP)]
pub struct Arguments {
    /// The TOML configuration; every value can be overridden by `HOLDFAST_<SECTION>__<KEY>`.
    #[arg(long, global = true, env = "HOLDFAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A shop is brought up in this order:
  holdfast --config shop.toml config check      is the configuration sound?
  holdfast --config shop.toml migrate           make or update the tables in MySQL
  holdfast --config shop.toml import goods.csv  load products and their stock
  holdfast --config shop.toml serve             open the shop

Then, from another terminal:
  holdfast --config shop.toml replay orders.csv drive it with real orders
  holdfast --config shop.toml events tail       watch what happens
  holdfast --config shop.toml reconcile         is the stock in Redis that of MySQL?
  holdfast --config shop.toml audit             was nothing oversold, lost or left untold?";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API, relay events to Kafka and finish interrupted orders.
    Serve,
    /// Make or update the tables in MySQL.
    Migrate,
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    Import(import::Options),
    Replay(replay::Options),
    Reconcile(reconcile::Options),
    Audit(audit::Options),
    /// Look at the events in Kafka.
    Events {
        #[command(subcommand)]
        command: EventsCommand,
    },
    /// Look at the orders that need a person.
    Orders {
        #[command(subcommand)]
        command: orders::Command,
    },
    /// Say who helps customers and who runs the shop.
    Users {
        #[command(subcommand)]
        command: users::Command,
    },
    /// Look at the events that Kafka does not have yet.
    Outbox {
        #[command(subcommand)]
        command: outbox::Command,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration is sound, and what is wrong if it is not.
    Check,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    Tail(events::Options),
}

/// Runs the command; an error is told on standard error and becomes exit code 1, a
/// configuration that cannot be used exit code 2.
pub fn run(arguments: Arguments) -> ExitCode {
    let config = match Config::load(arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("holdfast: the configuration cannot be used: {error}");
            return ExitCode::from(2);
        }
    };
    telemetry::start_logging(&config.log);
    match execute(arguments.command, config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdfast: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each once: some errors tell their cause in their own words too.
fn told(error: &anyhow::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    causes.fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        told if told.ends_with(&cause) => told.to_owned(),
        _ => format!("{told}: {cause}"),
    })
}

fn execute(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match command {
            Command::Audit(options) => return Ok(audit::run(&config, &options).await),
            Command::Serve => serve::run(config).await?,
            Command::Migrate => migrate::run(&config).await?,
            Command::Config {
                command: ConfigCommand::Check,
            } => config_check::run(&config)?,
            Command::Import(options) => import::run(&config, &options).await?,
            Command::Replay(options) => replay::run(&config, &options).await?,
            Command::Events {
                command: EventsCommand::Tail(options),
            } => events::run(&config, &options).await?,
            Command::Orders { command } => orders::run(&config, &command).await?,
            Command::Users { command } => users::run(&config, &command).await?,
            Command::Outbox { command } => outbox::run(&config, &command).await?,
            Command::Reconcile(options) => return Ok(reconcile::run(&config, options).await),
        }
        Ok(ExitCode::SUCCESS)
    })
}
