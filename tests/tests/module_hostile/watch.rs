//! A server that is watched: the same process, the same keys, no more memory, nothing caught.

use std::fs;

use anyhow::{Context, Result};
use holdfast_tests::redis::Redis;
use redis::Connection;

use super::values::is_session;
use crate::module_support::ask;

/// How far the server's memory may end above where it began: buffers and tables of its own, and no payload.
const SLACK_BYTES: u64 = 4 << 20;

/// What the server was like before.
pub struct Watch {
    run_id: String,
    keys: String,
    used_memory: u64,
}

impl Watch {
    pub fn begin(c: &mut Connection) -> Result<Watch> {
        Ok(Watch {
            run_id: info(c, "run_id")?,
            keys: ask(c, "DEBUG DIGEST"),
            used_memory: info(c, "used_memory")?.parse()?,
        })
    }

    /// Panics unless the keys are what they were.
    pub fn assert_same_keys(&self, c: &mut Connection, after: &str) {
        assert_eq!(ask(c, "DEBUG DIGEST"), self.keys, "after {after}");
    }

    /// Panics unless the server is what it was.
    pub fn end(&self, redis: &Redis, c: &mut Connection) -> Result<()> {
        self.assert_same_keys(c, "all of it");
        assert_eq!(
            info(c, "run_id")?,
            self.run_id,
            "the server was started anew"
        );
        let used_memory: u64 = info(c, "used_memory")?.parse()?;
        assert!(
            used_memory < self.used_memory + SLACK_BYTES,
            "memory went from {} to {used_memory} bytes",
            self.used_memory
        );
        let log = log(redis)?;
        let caught = log.lines().find(|line| line.contains("a bug was caught"));
        assert_eq!(caught, None, "something went wrong in the module");
        Ok(())
    }
}

/// What the server has logged.
pub fn log(redis: &Redis) -> Result<String> {
    let path = redis.server()?.home().folder.join("log");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Panics unless the value under the key makes sense, stands every command and can be written down.
pub fn assert_consistent(c: &mut Connection, key: &str, origin: &[u8]) {
    let origin = origin.escape_ascii().to_string();
    // A session that is over by its own times is gone as soon as the server looks at it.
    if ask(c, &format!("EXISTS {key}")) == "0" {
        return;
    }
    assert_eq!(written_again(c, key).expect(&origin), "OK", "{origin}");
    if !is_session(key) {
        assert_sums(c, key, &origin);
    }
    let digest = "1".repeat(64);
    let commands = if is_session(key) {
        vec![
            format!("SESSION.GET {key}"),
            format!("SESSION.VIEWED {key}"),
            format!("SESSION.TOUCH {key} {digest} PAGE / ITEM i RATE 1 1 1"),
            format!("SESSION.SET {key} f v"),
            format!("SESSION.END {key}"),
        ]
    } else {
        vec![
            format!("INV.HOLDS {key} COUNT 10"),
            format!("INV.PENDING {key} 0"),
            format!("INV.HOLD {key} held"),
            format!("INV.RESERVE {key} new 1 PX 1000"),
            format!("INV.CONFIRM {key} held LATE 2"),
            format!("INV.RETURN {key} sold back-2 1"),
            format!("INV.RELEASE {key} old"),
            format!("INV.ADJUST {key} 1"),
        ]
    };
    for command in commands {
        let answer = ask(c, &command);
        assert!(
            !answer.contains("refused") && !answer.contains("bug"),
            "{origin}: {command}: {answer}"
        );
    }
    ask(c, &format!("DEL {key} written"));
}

/// Writes the value down and reads it again under another key; `OK` if that has the same digest. Each step is a
/// transaction, because the sweep may change both in between.
fn written_again(c: &mut Connection, key: &str) -> Result<String> {
    let (_, before, dump): (i64, [String; 1], Vec<u8>) = redis::pipe()
        .atomic()
        // The copy lives for ever, and that is part of a digest.
        .cmd("PERSIST")
        .arg(key)
        .cmd("DEBUG")
        .arg(&["DIGEST-VALUE", key])
        .cmd("DUMP")
        .arg(key)
        .query(c)?;
    let (restored, after): (String, [String; 1]) = redis::pipe()
        .atomic()
        .cmd("RESTORE")
        .arg(&["written", "0"])
        .arg(&dump)
        .arg("REPLACE")
        .cmd("DEBUG")
        .arg(&["DIGEST-VALUE", "written"])
        .query(c)?;
    Ok(if before == after {
        restored
    } else {
        format!("{after:?} instead of {before:?}")
    })
}

/// Panics unless `INV.GET` adds up.
fn assert_sums(c: &mut Connection, key: &str, origin: &str) {
    let get = ask(c, &format!("INV.GET {key}"));
    let words: Vec<_> = get.split(' ').collect();
    let field = |name: &str| -> i64 {
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)?.parse().ok())
            .unwrap_or_else(|| panic!("{origin}: no {name} in {get}"))
    };
    let (on_hand, held) = (field("on_hand"), field("held"));
    assert!(on_hand >= 0 && held >= field("prepared"), "{origin}: {get}");
    assert_eq!(
        field("available"),
        (on_hand - held).max(0),
        "{origin}: {get}"
    );
    assert_eq!(
        field("shortfall"),
        (held - on_hand).max(0),
        "{origin}: {get}"
    );
}

fn info(c: &mut Connection, field: &str) -> Result<String> {
    let info: String = redis::cmd("INFO").query(c)?;
    let mut lines = info.lines();
    let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value
        .with_context(|| format!("INFO has no {field}"))?
        .trim()
        .to_owned())
}
