//! A hold falls due wherever its key goes, and nothing falls due where the key has been.

mod module_support;

use anyhow::Result;
use module_support::deadlines::{expiring, now_ms, sweep_comes_by, sweeps_after};
use module_support::{ask, ask_bytes, digest, is_sound, redis, replica, stock};
use redis::Connection;

/// Stock as of [`expiring`], whose hold lasts for longer than any test.
fn lasting(c: &mut Connection, key: &str) {
    expiring(c, key, 3_000_000);
}

/// Checks, once the deadline is past, that nothing has happened to what [`lasting`] made.
fn is_left_alone(c: &mut Connection, key: &str) {
    assert_eq!(stock(c, key, "seq"), 2, "{key}");
    assert_eq!(stock(c, key, "held"), 2, "{key}");
}

#[test]
fn a_renamed_key() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    lasting(c, "c-to");
    for (key, command) in [
        ("a", "RENAME a a-to"),
        ("b", "RENAMENX b b-to"),
        ("c", "RENAME c c-to"),
    ] {
        expiring(c, key, 1_000);
        ask(c, command);
        // Another stock takes the name that is free again.
        lasting(c, key);
    }
    for (key, other) in [("a", "a-to"), ("b", "b-to"), ("c", "c-to")] {
        sweep_comes_by(c, other)?;
        is_left_alone(c, key);
    }
    Ok(())
}

#[test]
fn a_copied_and_a_moved_key() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    // Valkey 8.1 leaves the connection in the other database after MOVE and COPY (valkey-io/valkey#4024).
    let mut ask_in_0 = |command: &str| {
        ask(c, "SELECT 0");
        assert_eq!(ask(c, command), "1", "{command}");
        ask(c, "SELECT 0");
    };
    let c = &mut redis.connection()?;
    for key in ["original", "across", "replacing", "moved"] {
        expiring(c, key, 1_000);
    }
    lasting(c, "replaced");
    ask_in_0("COPY original copy");
    ask_in_0("COPY across across DB 3");
    ask_in_0("COPY replacing replaced REPLACE");
    ask_in_0("MOVE moved 3");
    lasting(c, "moved");
    for key in ["original", "copy", "across", "replacing", "replaced"] {
        sweep_comes_by(c, key)?;
    }
    is_left_alone(c, "moved");
    ask(c, "SELECT 3");
    for key in ["across", "moved"] {
        sweep_comes_by(c, key)?;
    }
    Ok(())
}

#[test]
fn a_restored_key_here_and_elsewhere() -> Result<()> {
    let (redis, elsewhere) = (redis(&[])?, redis(&[])?);
    let (c, e) = (&mut redis.connection()?, &mut elsewhere.connection()?);
    expiring(c, "dumped", 1_500);
    let dump: Vec<u8> = redis::cmd("DUMP").arg("dumped").query(c)?;
    ask(c, "DEL dumped");
    for c in [&mut *c, &mut *e] {
        lasting(c, "replaced");
        assert_eq!(ask_bytes(c, &[b"RESTORE", b"new", b"0", &dump]), "OK");
        let replace = [b"RESTORE".as_slice(), b"replaced", b"0", &dump, b"REPLACE"];
        assert_eq!(ask_bytes(c, &replace), "OK");
    }
    for c in [c, e] {
        for key in ["new", "replaced"] {
            sweep_comes_by(c, key)?;
        }
    }
    Ok(())
}

#[test]
fn a_migrated_key() -> Result<()> {
    let (redis, elsewhere) = (redis(&[])?, redis(&[])?);
    let (c, e) = (&mut redis.connection()?, &mut elsewhere.connection()?);
    let port = elsewhere.port()?;
    for key in ["gone", "copied", "replacing", "one", "two"] {
        expiring(c, key, 1_500);
    }
    lasting(e, "replacing");
    // A quote stands for a word that is empty.
    for rest in [
        "gone 0 5000",
        "copied 0 5000 COPY",
        "replacing 0 5000 REPLACE",
        "\" 0 5000 KEYS one two",
    ] {
        let command = format!("MIGRATE 127.0.0.1 {port} {rest}");
        let args = command.split(' ').map(|arg| arg.trim_matches('"'));
        let args: Vec<_> = args.map(str::as_bytes).collect();
        assert_eq!(ask_bytes(c, &args), "OK", "{command}");
    }
    assert_eq!(ask(c, "EXISTS gone replacing one two"), "0");
    assert_eq!(digest(c, "copied"), digest(e, "copied"));
    lasting(c, "gone");
    for key in ["gone", "copied", "replacing", "one", "two"] {
        sweep_comes_by(e, key)?;
    }
    sweep_comes_by(c, "copied")?;
    is_left_alone(c, "gone");
    Ok(())
}

#[test]
fn keys_of_swapped_databases() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    ask(c, "SELECT 5");
    expiring(c, "five", 1_000);
    lasting(c, "both");
    ask(c, "SELECT 6");
    expiring(c, "six", 1_000);
    expiring(c, "both", 1_000);
    ask(c, "SWAPDB 5 6");
    ask(c, "SWAPDB 6 7");
    for (db, key) in [(7, "five"), (5, "six"), (5, "both")] {
        ask(c, &format!("SELECT {db}"));
        sweep_comes_by(c, key)?;
    }
    ask(c, "SELECT 7");
    is_left_alone(c, "both");
    Ok(())
}

#[test]
fn what_was_flushed_comes_to_nothing() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for (db, flush) in [
        (0, "FLUSHDB SYNC"),
        (1, "FLUSHDB ASYNC"),
        (2, "FLUSHALL SYNC"),
        (3, "FLUSHALL ASYNC"),
    ] {
        ask(c, &format!("SELECT {db}"));
        expiring(c, "other", 700);
        expiring(c, "key", 700);
        let due = now_ms(c)? + 700;
        assert_eq!(ask(c, flush), "OK");
        lasting(c, "key");
        sweeps_after(c, due)?;
        is_left_alone(c, "key");
        assert_eq!(ask(c, "EXISTS other"), "0");
        // A control: the sweep is at work in this database.
        expiring(c, "control", 100);
        sweep_comes_by(c, "control")?;
    }
    is_sound(&redis)
}

#[test]
fn what_took_the_place_of_stock_is_left_alone() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    let secret = "1".repeat(64);
    let session = format!("SESSION.START session {secret} ada");
    for (key, commands) in [
        ("deleted", ["DEL deleted", "PING"]),
        ("unlinked", ["UNLINK unlinked", "PING"]),
        ("ended", ["PEXPIRE ended 300", "PING"]),
        ("string", ["SET string text", "PING"]),
        ("list", ["DEL list", "RPUSH list one"]),
        ("session", ["UNLINK session", &session]),
        ("anew", ["UNLINK anew", "PING"]),
        (
            "renamed-over",
            ["SET text text", "RENAME text renamed-over"],
        ),
    ] {
        expiring(c, key, 700);
        for command in commands {
            let answer = ask(c, command);
            assert!(!answer.starts_with('!'), "{command}: {answer}");
        }
    }
    lasting(c, "anew");
    let due = now_ms(c)? + 700;
    sweeps_after(c, due)?;
    is_left_alone(c, "anew");
    assert_eq!(ask(c, "EXISTS deleted unlinked ended"), "0");
    assert_eq!(ask(c, "GET string"), "text");
    assert_eq!(ask(c, "GET renamed-over"), "text");
    assert_eq!(ask(c, "LRANGE list 0 -1"), "one");
    assert!(ask(c, &format!("SESSION.TOUCH session {secret}")).starts_with("OK ada"));
    module_support::in_step(&primary, &replica)?;
    assert_eq!(
        ask(c, "DEBUG DIGEST"),
        ask(&mut replica.connection()?, "DEBUG DIGEST")
    );
    is_sound(&primary)?;
    is_sound(&replica)
}
