//! Random commands at a primary with a replica and a file, and the comparison of what they end with.

mod client;
mod commands;
mod pair;
mod parameters;
mod payload;
mod server_commands;
mod snapshot;
mod soundness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use client::Client;
use holdfast_tests::redis::RedisOptions;
use pair::Pair;
use parameters::Parameters;
use soundness::require_sound;

use crate::module_support::eventually;
use crate::module_support::numbers::Numbers;

/// How hard a run hammers.
pub struct Hammer {
    pub seed: u64,
    pub clients: u64,
    pub steps: usize,
}

impl Hammer {
    /// Hammers a pair of servers of its own three times, comparing after each, and returns how many commands it took.
    pub fn run(&self, options: RedisOptions) -> Result<u64> {
        let mut numbers = Numbers::new(self.seed);
        let pair = Pair::start(self.options(options, &mut numbers))?;
        let parameters = Parameters::read(&mut pair.primary().connection()?)?;
        let mut calls = BTreeMap::new();
        for round in 0..3_u64 {
            self.hammer(&pair, &parameters, round)
                .with_context(|| format!("in round {round}"))?;
            let snapshot = pair.still()?;
            ensure!(
                snapshot.values() > 0,
                "nothing is left that could be compared"
            );
            require_sound(pair.replica())?;
            add(&mut calls, pair.calls()?);
            if round < 2 {
                pair.stop_and_compare_files(&snapshot)?;
                pair.start_again(numbers.once_in(2))?;
            }
        }
        pair.check_logs()?;
        require_every_command(&pair, &calls)?;
        Ok(calls.values().map(|[calls, _]| calls).sum())
    }

    /// What the servers differ in from run to run.
    fn options(&self, mut options: RedisOptions, numbers: &mut Numbers) -> RedisOptions {
        let load = numbers.one_of(&["disabled", "on-empty-db", "swapdb"]);
        let preamble = numbers.one_of(&["yes", "no"]);
        let own = [
            ("--enable-debug-command", "yes"),
            ("--enable-module-command", "yes"),
            ("--repl-diskless-load", load),
            ("--aof-use-rdb-preamble", preamble),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name, value]);
        options.args.extend(own.map(str::to_owned));
        options
    }

    /// Lets all clients send at once. In the last round, the replica takes over in the middle of it.
    fn hammer(&self, pair: &Pair, parameters: &Parameters, round: u64) -> Result<()> {
        let done = AtomicUsize::new(0);
        let total = self.clients as usize * self.steps;
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|number| {
                    let seed = self.seed * 1_000 + round * 100 + number;
                    let done = &done;
                    scope.spawn(move || {
                        Client::new(pair, parameters, seed)?.run(self.steps, || {
                            done.fetch_add(1, Ordering::Relaxed);
                        })
                    })
                })
                .collect();
            if round == 2 {
                eventually("half of the commands", || {
                    let over = clients.iter().any(|client| client.is_finished());
                    Ok(over || done.load(Ordering::Relaxed) * 2 > total)
                })?;
                pair.fail_over()?;
            }
            clients.into_iter().try_for_each(|client| {
                client
                    .join()
                    .map_err(|_| anyhow!("a client of the hammer panicked"))?
            })
        })
    }
}

/// A hammer that never hits proves nothing: each command of the module must have succeeded at least once.
fn require_every_command(pair: &Pair, calls: &BTreeMap<String, [u64; 2]>) -> Result<()> {
    let names: BTreeSet<String> = redis::cmd("COMMAND")
        .arg(&["LIST", "FILTERBY", "MODULE", "holdfast"])
        .query(&mut pair.primary().connection()?)?;
    ensure!(
        !names.is_empty(),
        "the server knows no command of the module"
    );
    let missed: Vec<_> = (names.iter())
        .filter(|name| {
            calls
                .get(*name)
                .is_none_or(|[_, succeeded]| *succeeded == 0)
        })
        .collect();
    ensure!(missed.is_empty(), "these never succeeded: {missed:?}");
    Ok(())
}

fn add(total: &mut BTreeMap<String, [u64; 2]>, more: BTreeMap<String, [u64; 2]>) {
    for (name, [calls, succeeded]) in more {
        let sum = total.entry(name).or_default();
        *sum = [sum[0] + calls, sum[1] + succeeded];
    }
}
