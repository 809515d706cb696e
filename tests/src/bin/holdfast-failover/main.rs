//! `make failover`: what clients see of a fault, measured on real servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use holdfast_tests::failover::report::{Report, summary};
use holdfast_tests::failover::scenario::{SCENARIOS, Scenario, named};
use holdfast_tests::failover::{Bench, Ending, svg};

/// Disturbs a shop under steady load and tells what clients saw: a timeline, the time without service of each kind of
/// request, lost orders, and what `holdfast audit` says.
#[derive(Parser)]
#[command(name = "holdfast-failover")]
struct Arguments {
    /// Which scenarios; all of them when none is named.
    scenarios: Vec<String>,
    /// How often each is repeated on the same servers.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Draw each scenario's first run into this folder, as SCENARIO.svg.
    #[arg(long)]
    out: Option<PathBuf>,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:<24}{}", scenario.name, scenario.title);
        }
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("holdfast-failover: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost in any of them, and all was served again.
#[tokio::main]
async fn run(arguments: &Arguments) -> Result<bool> {
    let mut by_shape: BTreeMap<_, Vec<&'static Scenario>> = BTreeMap::new();
    for scenario in wanted(&arguments.scenarios)? {
        by_shape.entry(scenario.shape).or_default().push(scenario);
    }
    let mut is_sound = true;
    let mut reports = Vec::new();
    for (shape, scenarios) in by_shape {
        // A shop that fails is told, and does not keep the others from being disturbed.
        match disturb(
            Bench::open(shape).await,
            &scenarios,
            arguments,
            &mut reports,
        )
        .await
        {
            Ok(sound) => is_sound &= sound,
            Err(error) => {
                eprintln!("holdfast-failover: {shape:?}: {error:#}");
                is_sound = false;
            }
        }
    }
    println!("{}", summary(&reports));
    Ok(is_sound)
}

fn wanted(names: &[String]) -> Result<Vec<&'static Scenario>> {
    match names {
        [] => Ok(SCENARIOS.iter().collect()),
        names => names.iter().map(|name| named(name)).collect(),
    }
}

/// All of these scenarios in one shop, and what became of its orders.
async fn disturb(
    bench: Result<Bench>,
    scenarios: &[&'static Scenario],
    arguments: &Arguments,
    reports: &mut Vec<Report>,
) -> Result<bool> {
    let bench = bench?;
    let done = repeat(&bench, scenarios, arguments, reports).await;
    if let Err(error) = &done {
        eprintln!("holdfast-failover: {error:#}");
    }
    // Whatever happened, and the more so if something did.
    let ending = bench.end().await?;
    println!("{}", text(&ending));
    Ok(done.unwrap_or(false) && ending.is_sound())
}

/// Each scenario as often as it was wanted; whether all was served again each time.
async fn repeat(
    bench: &Bench,
    scenarios: &[&'static Scenario],
    arguments: &Arguments,
    reports: &mut Vec<Report>,
) -> Result<bool> {
    let mut is_back = true;
    for scenario in scenarios {
        for repetition in 1..=arguments.repeat {
            let report = bench.run(scenario).await?;
            is_back &= report.is_back();
            match arguments.repeat {
                1 => println!("{}", report.text()),
                repeat => println!("{repetition}/{repeat} {}", report.line()),
            }
            if let (Some(folder), 1) = (&arguments.out, repetition) {
                draw(folder, &report)?;
            }
            reports.push(report);
        }
    }
    Ok(is_back)
}

fn draw(folder: &Path, report: &Report) -> Result<()> {
    let path = folder.join(format!("{}.svg", report.scenario.name));
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, svg::draw(report))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn text(ending: &Ending) -> String {
    let lost: Vec<&str> = ending.lost.iter().map(String::as_str).collect();
    let audit = match &ending.audit {
        Ok(said) => said.clone(),
        Err(error) => format!("{error:#}"),
    };
    format!(
        "{} orders acknowledged, {} of them lost {}\n{audit}",
        ending.acknowledged,
        lost.len(),
        lost.join(" ")
    )
}
