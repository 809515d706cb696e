//! `make bench`: what Holdfast's commands cost on a live server, beside the same done with Redis's own types, and what
//! its orders cost beside the usual ways to sell.
//!
//! All contenders of a comparison run in one go, in turns, so that whatever else the machine does meets all of them.
//! The figures are printed and never judged.

mod confirm;
mod due;
mod growth;
mod made_up;
mod memory;
mod orders;
mod rounds;
mod server;
mod touch;
mod wire;

use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measure the module on private servers.
#[derive(Parser)]
struct Args {
    /// What to measure; everything if nothing is named.
    parts: Vec<Part>,
    /// How many sessions, holds and outcomes make a million.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Bytes of a session, a hold and an outcome.
    Memory,
    /// RESERVE and CONFIRM on a key with few and with many live holds.
    Confirm,
    /// The slowest command while a key grows.
    Growth,
    /// What others wait while very many holds fall due at once.
    Due,
    /// SESSION.TOUCH beside what it replaces.
    Touch,
    /// Durable orders of one hot product: the lock design, one transaction an order, and Holdfast.
    Orders,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let parts = if args.parts.is_empty() {
        Part::value_variants()
    } else {
        &args.parts
    };
    for part in parts {
        let began = Instant::now();
        match part {
            Part::Memory => memory::measure(args.count)?,
            Part::Confirm => confirm::measure(args.count)?,
            Part::Growth => growth::measure(args.count)?,
            Part::Due => due::measure(args.count)?,
            Part::Touch => touch::measure()?,
            Part::Orders => orders::measure()?,
        }
        println!("  ({:.0} s)\n", began.elapsed().as_secs_f64());
    }
    Ok(())
}
