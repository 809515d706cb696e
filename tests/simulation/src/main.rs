//! Runs seeds for as long as one likes: `--seed 7 --seeds 4 --steps 10000000`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use holdfast_simulation::controls::Control;
use holdfast_simulation::simulation::{self, Breach};
use holdfast_simulation::statistics::Statistics;

/// Simulates the shop among servers that fail.
#[derive(Parser)]
struct Arguments {
    /// Decides everything; a random one where none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds, from that one on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How long each goes on at least.
    #[arg(long, default_value_t = 10_000_000)]
    steps: u64,
    /// Seeds at once; as many as there are processors where nothing is said.
    #[arg(long)]
    threads: Option<usize>,
    /// Takes a guard away, which must be noticed.
    #[arg(long)]
    control: Option<Control>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {first}");
    let began = Instant::now();
    let outcome = run_all(&arguments, first);
    match &outcome {
        Ok(statistics) => println!("{statistics}nothing was violated"),
        Err(breach) => println!("{breach}"),
    }
    println!("{:.1} s", began.elapsed().as_secs_f64());
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs every seed, several at once; answers with the sum, or with the first breach.
fn run_all(arguments: &Arguments, first: u64) -> Result<Statistics, Breach> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(processors);
    let begun = AtomicU64::new(0);
    let sum = Mutex::new(Ok(Statistics::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = begun.fetch_add(1, Ordering::Relaxed);
                    if next >= arguments.seeds {
                        return;
                    }
                    let seed = first.wrapping_add(next);
                    let ran = simulation::run(seed, arguments.steps, arguments.control);
                    if !add(&sum, ran) {
                        return;
                    }
                }
            });
        }
    });
    sum.into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// False once there is a breach.
fn add(sum: &Mutex<Result<Statistics, Breach>>, ran: Result<Statistics, Breach>) -> bool {
    let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match (sum.as_mut(), ran) {
        (Ok(sum), Ok(statistics)) => sum.add(&statistics),
        (Ok(_), Err(breach)) => *sum = Err(breach),
        (Err(_), _) => {}
    }
    sum.is_ok()
}
