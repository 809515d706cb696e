//! `make up`, `make down` and what is between them: the stack as private servers on this machine.

mod demo;
mod down;
mod env;
mod place;
mod status;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use holdfast_tests::kafka;

use place::Place;
use status::Addresses;

/// Runs Holdfast's whole stack on this machine: Redis with the module, MariaDB, Kafka, a payment sandbox and the proxy.
///
/// All of it is private: on 127.0.0.1, with its files and logs in the data folder, apart from any server of the system.
#[derive(Parser)]
#[command(name = "holdfast-stack")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch what the servers need and the machine does not have: Kafka's jars, by Maven.
    Fetch,
    /// Start what does not run yet, and show the shop selling.
    Up(up::Options),
    /// Stop everything, in whatever shape; the data stays.
    Down,
    /// Tell what runs, and where.
    Status,
    /// Show the shop selling again.
    Demo(Place),
    /// Print the addresses as shell variables: eval "$(holdfast-stack env)".
    Env(Place),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Fetch => fetch(),
        Command::Up(options) => up::run(&options),
        Command::Down => down::run(),
        Command::Status => status::run(),
        Command::Env(place) => env::run(place),
        Command::Demo(place) => Addresses::read(place).and_then(|addresses| demo::run(&addresses)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast-stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Asks the network at most once for what every later start finds in the cache.
fn fetch() -> anyhow::Result<()> {
    if std::env::var_os("HOLDFAST_KAFKA_BROKERS").is_some() {
        return Ok(());
    }
    if kafka::must_fetch_jars() {
        println!("stack: fetching Kafka's jars by Maven");
    }
    kafka::jars().map(drop)
}
