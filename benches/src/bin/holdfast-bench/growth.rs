//! The slowest command while a key grows from nothing to a million live holds.
//!
//! A pause of the machine looks like a slow command. On a server the key therefore grows several times: what the
//! ledger does slowly, it does slowly each time. In the pure core it is the processor time of the thread that counts.

use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_benches::{NOW_MS, hold_id};
use holdfast_stock::{Command, Ledger, Policy, Until};
use holdfast_tests::redis::Redis;
use nix::time::{ClockId, clock_gettime};
use redis::Value;

use crate::made_up::uuid;
use crate::rounds::percentile;
use crate::{server, wire};

const TIMES: usize = 3;

/// Prints it by the server's own clock, and in the pure core.
pub fn measure(count: u64) -> Result<()> {
    println!("A key grows to {count} live holds: how long one RESERVE takes");
    for time in 1..=TIMES {
        on_a_server(count, time)?;
    }
    in_the_core(count)
}

/// By SLOWLOG, which times the command's execution, not the wire.
fn on_a_server(count: u64, time: usize) -> Result<()> {
    const NOTED_US: &str = "50";
    let server = server::start(&[
        "--slowlog-log-slower-than",
        NOTED_US,
        "--slowlog-max-len",
        "1000000",
    ])?;
    let connection = &mut server.connection()?;
    redis::cmd("INV.SET")
        .arg("inv:{lamp}")
        .arg(1_000_000_000)
        .query::<Value>(connection)?;
    let before = waited_for_processor(&server)?;
    wire::load(connection, count, |batch, n| {
        let id = uuid(3, n);
        batch.push(&[
            b"INV.RESERVE",
            b"inv:{lamp}",
            id.as_bytes(),
            b"1",
            b"PX",
            b"3600000",
        ]);
    })?;
    let waited = waited_for_processor(&server)?.saturating_sub(before);
    let slow: Vec<(u64, u64, u64, Vec<String>)> = redis::cmd("SLOWLOG")
        .arg("GET")
        .arg(-1)
        .query::<Vec<Value>>(connection)?
        .into_iter()
        .filter_map(|entry| match entry {
            Value::Array(mut parts) => {
                parts.truncate(4);
                redis::from_redis_value(Value::Array(parts)).ok()
            }
            _ => None,
        })
        .collect();
    let mut took: Vec<_> = slow
        .iter()
        .filter(|(.., args)| args.first().is_some_and(|name| name == "INV.RESERVE"))
        .map(|(_, _, took_us, _)| Duration::from_micros(*took_us))
        .collect();
    took.sort_unstable();
    let over_a_millisecond = took.iter().filter(|took| took.as_millis() >= 1).count();
    println!(
        "  on a server, by SLOWLOG, time {time}  {} over {NOTED_US} us, {over_a_millisecond} over 1 ms, slowest {:.0} us (it waited {} ms for a processor)",
        took.len(),
        percentile(&took, 1.0),
        waited.as_millis(),
    );
    Ok(())
}

/// How long the server could have run and did not, because of others on the machine (`/proc/<pid>/schedstat`).
fn waited_for_processor(server: &Redis) -> Result<Duration> {
    let pid = server.server()?.pid()?;
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let waited_ns = schedstat.split_ascii_whitespace().nth(1);
    let waited_ns = waited_ns.context("schedstat has no second field")?;
    Ok(Duration::from_nanos(waited_ns.parse()?))
}

/// Beside nothing, timed likewise, to tell the ledger from the clock.
fn in_the_core(count: u64) -> Result<()> {
    let mut ledger = Ledger::default();
    let set = Command::Set {
        on_hand: 1 << 40,
        only_if: None,
        force: false,
    };
    holdfast_benches::run(&mut ledger, &set);
    let policy = Policy::default();
    let mut took = Vec::with_capacity(count as usize);
    for n in 0..count {
        let reserve = Command::Reserve {
            id: hold_id(n),
            quantity: 1,
            until: Until::In(3_600_000),
        };
        let began = processor_time()?;
        let decision = ledger.decide(&reserve, &policy, NOW_MS)?;
        for effect in &decision.effects {
            ledger.apply(effect)?;
        }
        took.push(processor_time()? - began);
    }
    print("in the pure core", took);
    let nothing = (0..count).map(|_| Ok(processor_time()?.abs_diff(processor_time()?)));
    print("nothing, timed likewise", nothing.collect::<Result<_>>()?);
    Ok(())
}

/// Of this thread, so far.
fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn print(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let [p50, p99, p9999, slowest] = [0.5, 0.99, 0.9999, 1.0].map(|part| percentile(&took, part));
    println!("  {name:<30} p50 {p50:.2} us, p99 {p99:.2}, p99.99 {p9999:.1}, slowest {slowest:.0}");
}
