//! A hammer: clients that send random commands, good and bad, to a primary with a replica and a file. Whatever they
//! sent, replica and file must end with the very same keys.
//!
//! | variable | what it gives |
//! |---|---|
//! | `HOLDFAST_HAMMER_SEED` | the seed of the first run, which is told when a run fails |
//! | `HOLDFAST_HAMMER_SECONDS` | for how long runs follow one another, each with the next seed; 20 unless it is given |
//! | `HOLDFAST_HAMMER_CLIENTS` | how many clients there are; the commands of one are the same in every run of a seed |
//! | `HOLDFAST_HAMMER_STEPS` | how many steps each client takes between two comparisons |

#[path = "module_support/hammer/mod.rs"]
mod hammer;
mod module_support;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hammer::Hammer;
use holdfast_tests::redis::RedisOptions;

#[test]
fn replica_and_files_agree_after_any_commands() -> Result<()> {
    let (first, seconds) = (setting("SEED", 1)?, setting("SECONDS", 20)?);
    let (clients, steps) = (setting("CLIENTS", 4)?, setting("STEPS", 3_000)? as usize);
    let began = Instant::now();
    for seed in first.. {
        let run = Hammer {
            seed,
            clients,
            steps,
        };
        let calls = run.run(RedisOptions::default()).with_context(|| {
            format!("HOLDFAST_HAMMER_SEED={seed} with {clients} clients of {steps} steps failed")
        })?;
        println!("seed {seed}: {calls} commands, {:?}", began.elapsed());
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match std::env::var(format!("HOLDFAST_HAMMER_{name}")) {
        Ok(value) => Ok(value.parse()?),
        Err(_) => Ok(default),
    }
}
