//! A million holds that fall due at the same instant: how long others wait while the sweep gives them back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use redis::{Connection, Value};

use crate::made_up::uuid;
use crate::rounds::percentile;
use crate::{server, wire};

/// Long enough to load a million holds before they fall due.
const LOADING: Duration = Duration::from_secs(30);

/// Between two questions, so that the server is not kept busy by them alone.
const PAUSE: Duration = Duration::from_micros(300);

/// Prints it for holds on one key, and for holds on many.
pub fn measure(count: u64) -> Result<()> {
    println!(
        "{count} holds fall due at the same instant: how long RESERVE and PING take until all are given back"
    );
    for keys in [1, count.div_ceil(10)] {
        on_keys(count, keys)?;
    }
    Ok(())
}

fn on_keys(count: u64, keys: u64) -> Result<()> {
    let server = server::start(&["--appendonly", "yes"])?;
    let connection = &mut server.connection()?;
    let key = |n: u64| format!("inv:{{lamp-{}}}", n % keys);
    wire::load(connection, keys, |batch, n| {
        batch.push(&[b"INV.SET", key(n).as_bytes(), b"1000000000"]);
    })?;
    let due = SystemTime::now() + LOADING;
    let due_ms = due.duration_since(UNIX_EPOCH)?.as_millis().to_string();
    wire::load(connection, count, |batch, n| {
        let (key, id) = (key(n), uuid(3, n));
        batch.push(&[
            b"INV.RESERVE",
            key.as_bytes(),
            id.as_bytes(),
            b"1",
            b"PXAT",
            due_ms.as_bytes(),
        ]);
    })?;
    let spare = due
        .duration_since(SystemTime::now())
        .context("loading took longer than the holds last; use a lower --count")?;
    std::thread::sleep(spare);

    let began = Instant::now();
    let (mut reserves, mut pings) = (Vec::new(), Vec::new());
    while server::expired_by_sweep(connection)? < count {
        for _ in 0..500 {
            let (key, id) = (key(reserves.len() as u64), uuid(4, reserves.len() as u64));
            let reserve = redis::cmd("INV.RESERVE")
                .arg(key)
                .arg(id)
                .arg(1)
                .arg("PX")
                .arg(3_600_000)
                .to_owned();
            reserves.push(time(connection, &reserve)?);
            pings.push(time(connection, &redis::cmd("PING"))?);
            std::thread::sleep(PAUSE);
        }
    }
    let keys = if keys == 1 {
        "one key".to_owned()
    } else {
        format!("{keys} keys")
    };
    println!(
        "  on {keys}, all given back after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    print("RESERVE", reserves);
    print("PING", pings);
    Ok(())
}

fn time(connection: &mut Connection, command: &redis::Cmd) -> Result<Duration> {
    let began = Instant::now();
    command.query::<Value>(connection)?;
    Ok(began.elapsed())
}

fn print(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let [p50, p99, p999, slowest] =
        [0.5, 0.99, 0.999, 1.0].map(|part| percentile(&took, part) / 1e3);
    println!("    {name:<8} p50 {p50:.2} ms, p99 {p99:.2}, p99.9 {p999:.2}, slowest {slowest:.2}");
}
