//! What one command costs in the pure cores, without a server: a million live holds must cost what a thousand do.

use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use holdfast_benches::{NOW_MS, hold_id, ledger, run, run_at, session};
use holdfast_session::{Digest, Rate, Touch};
use holdfast_stock::{Command, Effect, Until};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    reserve_and_confirm(&mut criterion);
    due_at_once(&mut criterion);
    touch(&mut criterion);
    criterion.final_summary();
    if named("growth") {
        growth();
    }
    if named("due at the same instant") {
        due_at_the_same_instant();
    }
    if named("side by side") {
        side_by_side();
    }
}

/// Whether the benchmark is among those asked for: all of them where no name is given.
fn named(name: &str) -> bool {
    let mut asked = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    asked.next().is_none_or(|first| name.contains(&first))
}

/// The slowest single command while a key grows from nothing to a million holds and while these are confirmed again.
///
/// A command counts with the fastest of several runs, all of which do the same: what the ledger has to do then comes
/// up in each, and what the machine had to do besides in one of them.
fn growth() {
    const HOLDS: u64 = 1_000_000;
    const RUNS: usize = 4;
    let mut fastest = vec![Duration::MAX; 2 * HOLDS as usize];
    for _ in 0..RUNS {
        let mut ledger = ledger(0);
        let grow = (0..HOLDS).map(|n| reserve(n, Until::In(60_000 + n % 7 * 1_000)));
        // Out of order, as payments come in: 611,953 is prime.
        let shrink = (0..HOLDS).map(|n| confirm(n * 611_953 % HOLDS));
        for (fastest, command) in fastest.iter_mut().zip(grow.chain(shrink)) {
            let began = Instant::now();
            run(&mut ledger, &command);
            *fastest = began.elapsed().min(*fastest);
        }
    }
    let (grow, shrink) = fastest.split_at(HOLDS as usize);
    for (name, times) in [("RESERVE", grow), ("CONFIRM", shrink)] {
        let slowest = times.iter().max().copied().unwrap_or_default();
        let total: Duration = times.iter().sum();
        let mean = total / HOLDS as u32;
        println!("growth: {HOLDS} times {name}: slowest {slowest:?}, mean {mean:?}");
    }
}

/// What single commands cost while a million holds are past due that the sweep has not reached.
fn due_at_the_same_instant() {
    const HOLDS: u64 = 1_000_000;
    const RUNS: usize = 5;
    let mut full = ledger(0);
    let count = |on_hand, force| Command::Set {
        on_hand,
        only_if: None,
        force,
    };
    run(&mut full, &count(HOLDS + 10, false));
    // One older hold and one younger are not due with the others.
    run(&mut full, &reserve(HOLDS, Until::In(2_000_000)));
    for n in 0..HOLDS {
        run(&mut full, &reserve(n, Until::In(1_000_000)));
    }
    run(&mut full, &reserve(HOLDS + 1, Until::In(2_000_000)));
    let mut short = full.clone();
    run(&mut short, &count(1, true));
    let late = NOW_MS + 1_000_000;
    let cases = [
        (
            "RESERVE of one unit",
            &full,
            reserve(HOLDS + 2, Until::Default),
        ),
        ("CONFIRM", &full, confirm(HOLDS)),
        ("SET far below with FORCE", &full, count(1, true)),
        (
            "CONFIRM of a hold that is short",
            &short,
            confirm(HOLDS + 1),
        ),
    ];
    for (name, ledger, command) in cases {
        let times = (0..RUNS).map(|_| {
            let mut ledger = ledger.clone();
            let began = Instant::now();
            run_at(&mut ledger, &command, late);
            let _ = ledger.summary(late);
            began.elapsed()
        });
        let fastest = times.min().unwrap_or_default();
        println!("due at the same instant: {HOLDS} holds, {name}: {fastest:?}");
    }
}

/// RESERVE and CONFIRM on a ledger of a thousand live holds and on one of a million, by turns.
fn side_by_side() {
    const BLOCK: u64 = 1_000;
    const BLOCKS: u64 = 300;
    let mut sides = [1_000, 1_000_000].map(|holds| (holds, ledger(holds), Vec::new()));
    for block in 0..BLOCKS {
        for (holds, ledger, times) in &mut sides {
            let ids = (0..BLOCK).map(|n| *holds + block * BLOCK + n);
            let commands: Vec<_> = ids
                .flat_map(|n| [reserve(n, Until::Default), confirm(n)])
                .collect();
            let began = Instant::now();
            for command in &commands {
                run(ledger, command);
            }
            times.push(began.elapsed() / BLOCK as u32);
            let forgotten = Effect::Forgotten {
                outcomes: BLOCK,
                adjustments: 0,
            };
            ledger.apply(&forgotten).expect("so many were confirmed");
        }
    }
    let medians = sides.map(|(holds, _, mut times)| {
        times.sort();
        let median = times[times.len() / 2];
        println!("side by side: {holds} live holds: RESERVE and CONFIRM take {median:?}");
        median
    });
    println!(
        "side by side: {:.2} times",
        medians[1].as_secs_f64() / medians[0].as_secs_f64()
    );
}

fn reserve(n: u64, until: Until) -> Command {
    Command::Reserve {
        id: hold_id(n),
        quantity: 1,
        until,
    }
}

fn confirm(n: u64) -> Command {
    Command::Confirm {
        id: hold_id(n),
        quantity: None,
        late: None,
    }
}

fn reserve_and_confirm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reserve and confirm");
    for holds in [1_000, 1_000_000] {
        let mut ledger = ledger(holds);
        let mut next = holds;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{holds} live holds"), |bencher| {
            bencher.iter(|| {
                next += 1;
                run(&mut ledger, &reserve(next, Until::In(120_000)));
                run(&mut ledger, &confirm(next));
            });
        });
    }
    group.finish();
}

/// One batch of the sweep.
fn due_at_once(criterion: &mut Criterion) {
    const BATCH: usize = 256;
    let full = ledger(10_000);
    let mut group = criterion.benchmark_group("sweep");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("256 holds due", |bencher| {
        bencher.iter_batched_ref(
            || full.clone(),
            |ledger| {
                let effect = ledger
                    .overdue(NOW_MS + 3_600_000, BATCH)
                    .expect("all are due");
                ledger.apply(&effect).expect("what is due can expire");
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn touch(criterion: &mut Criterion) {
    let digest = Digest::parse(&[7; 32]).expect("32 bytes");
    let rate = Rate::new(1_000_000, 1_000_000, 1);
    let mut record = session(digest);
    let mut now_ms = NOW_MS;
    criterion.bench_function("touch a session with page, item and rate", |bencher| {
        bencher.iter(|| {
            now_ms += 1;
            let item = [b'I', now_ms as u8];
            let touch = Touch {
                digest,
                page: Some(b"/lamps/lantern"),
                item: Some(&item),
                rate,
            };
            let touched = record.touch(&touch, now_ms);
            let effect = touched.effect.expect("the session is live and not limited");
            effect
                .apply(Some(&mut record))
                .expect("what was decided can be applied");
        });
    });
}
