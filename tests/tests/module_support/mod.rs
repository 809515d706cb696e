//! What the tests of the module share: servers with the module, and replies as short texts.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod deadlines;
pub mod dump;
pub mod numbers;
pub mod workload;

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::wait;
use redis::{Connection, Value};

/// A Redis of one's own with the module and DEBUG, without a file unless `args` ask for one.
pub fn redis(args: &[&str]) -> Result<Redis> {
    start(args, None)
}

/// A replica of it, in step with it.
pub fn replica(primary: &Redis, args: &[&str]) -> Result<Redis> {
    let replica = start(args, Some(primary.port()?))?;
    in_step(primary, &replica)?;
    Ok(replica)
}

fn start(args: &[&str], replica_of: Option<u16>) -> Result<Redis> {
    Redis::start_private(options(args, replica_of))
}

/// How [`redis`] and [`replica`] start theirs.
pub fn options(args: &[&str], replica_of: Option<u16>) -> RedisOptions {
    let own = [
        "--enable-debug-command",
        "yes",
        "--appendonly",
        "no",
        "--save",
        "",
    ];
    let args = own
        .iter()
        .chain(args)
        .map(|arg| (*arg).to_owned())
        .collect();
    RedisOptions {
        args,
        replica_of,
        ..RedisOptions::default()
    }
}

/// Waits until the replica has everything that the primary has sent.
pub fn in_step(primary: &Redis, replica: &Redis) -> Result<()> {
    let (mut primary, mut replica) = (primary.connection()?, replica.connection()?);
    eventually("the replica to be in step", || {
        let sent = info(&mut primary, "replication", "master_repl_offset")?;
        let up = info(&mut replica, "replication", "master_link_status")?.as_deref() == Some("up");
        Ok(up && sent == info(&mut replica, "replication", "slave_repl_offset")?)
    })
}

/// Waits until the replica is in step and everything in both is the same. What falls due meanwhile may still be on its
/// way at the first look.
pub fn alike(primary: &Redis, replica: &Redis) -> Result<()> {
    let (mut p, mut r) = (primary.connection()?, replica.connection()?);
    eventually("equal digests", || {
        in_step(primary, replica)?;
        Ok(ask(&mut p, "DEBUG DIGEST") == ask(&mut r, "DEBUG DIGEST"))
    })
}

/// Waits until the condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    wait::until(what, Duration::from_secs(30), || {
        Ok(condition()?.then_some(()))
    })
}

/// Runs a command whose arguments have no spaces, and returns the reply as a text: elements after one another, inner
/// arrays in brackets, `-` for null, an error after `!`, and `T` in place of a time in Unix milliseconds.
pub fn ask(connection: &mut Connection, command: &str) -> String {
    let args: Vec<_> = command
        .split_ascii_whitespace()
        .map(str::as_bytes)
        .collect();
    ask_bytes(connection, &args)
}

/// [`ask`] for arguments of any bytes.
pub fn ask_bytes(connection: &mut Connection, args: &[&[u8]]) -> String {
    let mut command = redis::Cmd::new();
    for arg in args {
        command.arg(*arg);
    }
    answer(command.query(connection))
}

/// What a query came to, as [`ask`] shows it.
pub fn answer(result: redis::RedisResult<Value>) -> String {
    match result {
        Ok(value) => text(&value),
        Err(error) => match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("!{code} {detail}"),
            _ => format!("!{error}"),
        },
    }
}

/// One field of `INV.GET`.
pub fn stock(connection: &mut Connection, key: &str, field: &str) -> i64 {
    let fields = ask(connection, &format!("INV.GET {key}"));
    let mut words = fields.split(' ').skip_while(|word| *word != field);
    words
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {field} in {fields}"))
}

/// The digest of one key, over everything that its value is made of.
pub fn digest(connection: &mut Connection, key: &str) -> String {
    ask(connection, &format!("DEBUG DIGEST-VALUE {key}"))
}

/// One field of INFO.
pub fn info(connection: &mut Connection, section: &str, name: &str) -> Result<Option<String>> {
    let info: String = redis::cmd("INFO").arg(section).query(connection)?;
    Ok(info.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(value.trim().to_owned())
    }))
}

/// Has the AOF written anew, and waits until it is.
pub fn rewrite_aof(connection: &mut Connection) -> Result<()> {
    ask(connection, "BGREWRITEAOF");
    eventually("the rewrite", || {
        let info = ask(connection, "INFO persistence");
        let over =
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0");
        Ok(over
            && info.contains("aof_last_bgrewrite_status:ok")
            && !info.contains("aof_rewrites:0"))
    })
}

/// Checks that the server still answers and that its log tells of no crash, of no bug that was caught and of no
/// effect that did not fit.
pub fn is_sound(redis: &Redis) -> Result<()> {
    assert_eq!(ask(&mut redis.connection()?, "PING"), "PONG");
    let log = std::fs::read(redis.server()?.home().path("log"))?;
    let log = String::from_utf8_lossy(&log);
    for trouble in [
        "BUG REPORT",
        "ASSERTION FAILED",
        "a bug was caught",
        "missed a change",
    ] {
        assert!(!log.contains(trouble), "{trouble}: {log}");
    }
    Ok(())
}

/// Requires that what changes nothing leaves a WATCH of the key alone, and that a change does not.
pub fn replays_touch_no_watch(c: &mut Connection, watcher: &mut Connection) -> Result<()> {
    ask(c, "INV.SET watch 5");
    ask(c, "INV.RESERVE watch o1 2");
    let mut survives = |command: &str| {
        ask(watcher, "WATCH watch");
        ask(c, command);
        ask(watcher, "MULTI");
        ask(watcher, "PING");
        ask(watcher, "EXEC") == "PONG"
    };
    for replay in [
        "INV.RESERVE watch o1 2",
        "INV.RESERVE watch o2 9",
        "INV.RESERVE watch o1 3",
        "INV.GET watch",
        "INV.SET watch 5",
    ] {
        ensure!(survives(replay), "{replay} must not touch WATCH");
    }
    ensure!(
        !survives("INV.RELEASE watch o1"),
        "a change must touch WATCH"
    );
    Ok(())
}

/// A reply as a short text, as [`ask`] returns it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Nil => "-".to_owned(),
        Value::Int(number) if *number > 1_600_000_000_000 && *number < 4_000_000_000_000 => {
            "T".to_owned()
        }
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => bytes.escape_ascii().to_string(),
        Value::SimpleString(line) => line.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Array(elements) => elements.iter().map(inner).collect::<Vec<_>>().join(" "),
        Value::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(name, value)| format!("{} {}", inner(name), inner(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Map(_) => format!("[{}]", text(value)),
        value => text(value),
    }
}
