//! INFO tells what a node keeps, wherever keys come from and go to, and what has happened.

mod module_support;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use module_support::{ask, ask_bytes, eventually, in_step, redis, replica};
use redis::Connection;

type Fields = BTreeMap<String, u64>;

/// The section's fields, without `holdfast_`.
fn info(c: &mut Connection) -> Result<Fields> {
    let text: String = redis::cmd("INFO").arg("holdfast").query(c)?;
    text.lines()
        .filter_map(|line| line.strip_prefix("holdfast_")?.split_once(':'))
        .map(|(name, value)| Ok((name.to_owned(), value.trim().parse()?)))
        .collect()
}

/// Stock keys, holds, prepared holds, units held, outcomes, adjustments, sessions.
fn kept(c: &mut Connection) -> Result<[u64; 7]> {
    let fields = info(c)?;
    let names = [
        "stock_keys",
        "holds",
        "holds_prepared",
        "units_held",
        "outcomes",
        "adjustments",
        "sessions",
    ];
    let mut kept = [0; 7];
    for (place, name) in kept.iter_mut().zip(names) {
        *place = *fields.get(name).with_context(|| format!("no {name}"))?;
    }
    Ok(kept)
}

fn eventually_kept(c: &mut Connection, expected: [u64; 7]) -> Result<()> {
    let mut last = [0; 7];
    let met = eventually("the totals", || {
        last = kept(c)?;
        Ok(last == expected)
    });
    met.with_context(|| format!("{last:?} instead of {expected:?}"))
}

/// One key with two holds of five units in all, one of them prepared, an outcome and an adjustment.
fn fill(c: &mut Connection, key: &str) {
    for command in [
        "INV.SET {} 100",
        "INV.ADJUST {} 5 ID a1",
        "INV.RESERVE {} o1 2 PX 3000000",
        "INV.RESERVE {} o2 3 PX 3000000",
        "INV.PREPARE {} o2",
        "INV.RESERVE {} o3 4 PX 3000000",
        "INV.CONFIRM {} o3",
    ] {
        let reply = ask(c, &command.replace("{}", key));
        assert!(!reply.starts_with('!'), "{reply}");
    }
}

const ONE: [u64; 7] = [1, 2, 1, 5, 1, 1, 0];

fn times(count: u64) -> [u64; 7] {
    ONE.map(|one| one * count)
}

fn session(c: &mut Connection, key: &str) {
    let digest = "0".repeat(64);
    let reply = ask(c, &format!("SESSION.START {key} {digest} anna"));
    assert!(reply.starts_with("OK"), "{reply}");
}

#[test]
fn totals_follow_keys_wherever_they_go() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    assert_eq!(kept(c)?, [0; 7]);
    fill(c, "a");
    assert_eq!(kept(c)?, ONE);
    ask(c, "RENAME a b");
    ask(c, "MOVE b 3");
    ask(c, "SELECT 3");
    ask(c, "SWAPDB 3 0");
    ask(c, "SELECT 0");
    assert_eq!(kept(c)?, ONE);
    assert_eq!(ask(c, "COPY b c"), "1");
    assert_eq!(kept(c)?, times(2));
    assert_eq!(ask(c, "COPY b c REPLACE"), "1");
    eventually_kept(c, times(2))?;
    let dump: Vec<u8> = redis::cmd("DUMP").arg("b").query(c)?;
    assert_eq!(ask_bytes(c, &[b"RESTORE", b"d", b"0", &dump]), "OK");
    assert_eq!(kept(c)?, times(3));
    assert_eq!(
        ask_bytes(c, &[b"RESTORE", b"d", b"0", &dump, b"REPLACE"]),
        "OK"
    );
    eventually_kept(c, times(3))?;
    ask(c, "INV.RELEASE d o1");
    assert_eq!(kept(c)?, [3, 5, 3, 13, 4, 3, 0]);
    ask(c, "SET d text");
    eventually_kept(c, times(2))?;
    ask(c, "DEL c");
    eventually_kept(c, ONE)?;
    ask(c, "PEXPIRE b 1");
    eventually_kept(c, [0; 7])?;

    session(c, "s1");
    session(c, "s2");
    ask(c, "INV.SET a 1");
    assert_eq!(kept(c)?, [1, 0, 0, 0, 0, 0, 2]);
    ask(c, "SESSION.END s1");
    ask(c, "PEXPIRE s2 1");
    eventually_kept(c, [1, 0, 0, 0, 0, 0, 0])?;
    for flush in ["FLUSHALL ASYNC", "FLUSHALL SYNC", "FLUSHDB"] {
        fill(c, "z");
        session(c, "s");
        ask(c, flush);
        eventually_kept(c, [0; 7])?;
    }
    // A command that is refused, and a transaction that is not run, leave the totals alone.
    fill(c, "a");
    ask(c, "INV.RESERVE a o9 1000");
    ask(c, "INV.APPLY a 99 EXPIRED 1 5");
    assert_eq!(kept(c)?, ONE);
    Ok(())
}

#[test]
fn totals_survive_a_restart_and_a_rewrite() -> Result<()> {
    for args in [
        ["--save", "3600 1000000", "--appendonly", "no"],
        ["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
        ["--appendonly", "yes", "--aof-use-rdb-preamble", "yes"],
    ] {
        let redis = redis(&args)?;
        let c = &mut redis.connection()?;
        for key in ["a", "b", "c"] {
            fill(c, key);
        }
        if args[1] == "yes" {
            ask(c, "BGREWRITEAOF");
            eventually("the rewrite", || {
                let info: String = redis::cmd("INFO").arg("persistence").query(c)?;
                Ok(info.contains("aof_rewrite_in_progress:0")
                    && info.contains("aof_rewrite_scheduled:0"))
            })?;
        }
        fill(c, "d");
        redis.server()?.stop()?;
        redis.start_again()?;
        eventually_kept(&mut redis.connection()?, times(4))?;
    }
    Ok(())
}

#[test]
fn a_replica_has_the_primarys_totals_however_it_loads() -> Result<()> {
    for load in ["disabled", "swapdb", "on-empty-db"] {
        let primary = redis(&[])?;
        let c = &mut primary.connection()?;
        fill(c, "a");
        session(c, "s");
        let replica = replica(&primary, &["--repl-diskless-load", load])?;
        let r = &mut replica.connection()?;
        let [mut two, one] = [times(2), ONE].map(|mut kept| {
            kept[6] = 1;
            kept
        });
        eventually_kept(r, one)?;
        fill(c, "b");
        in_step(&primary, &replica)?;
        assert_eq!(kept(r)?, two, "{load}");
        // Once more from the start, over what it has.
        ask(r, "REPLICAOF NO ONE");
        fill(r, "other");
        ask(r, &format!("REPLICAOF 127.0.0.1 {}", primary.port()?));
        in_step(&primary, &replica)?;
        eventually_kept(r, two)?;
        // What was loaded is followed: a promoted replica sweeps it.
        ask(c, "INV.EXTEND a o1 PX 3100000");
        ask(c, "INV.RESERVE a late 7 PX 2000");
        let again = module_support::replica(&primary, &["--repl-diskless-load", load])?;
        ask(r, &format!("REPLICAOF 127.0.0.1 {}", again.port()?));
        in_step(&again, &replica)?;
        ask(r, "REPLICAOF NO ONE");
        two[4] += 1;
        eventually_kept(r, two)?;
        assert_eq!(info(r)?["expired_by_sweep"], 1, "{load}");
    }
    Ok(())
}

#[test]
fn every_answer_is_counted_once() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let count = |c: &mut Connection, command: &str| -> Result<Vec<(String, u64)>> {
        let before = info(c)?;
        ask(c, command);
        let counts = info(c)?.into_iter().filter_map(|(name, count)| {
            let counter = ["answered_", "expired_", "forgotten", "sessions_"];
            let counter = counter.iter().any(|start| name.starts_with(start));
            let more = count.checked_sub(before[&name]).filter(|more| *more > 0)?;
            counter.then_some((name, more))
        });
        Ok(counts.collect())
    };
    let digest = "0".repeat(64);
    let bad = "1".repeat(64);
    for (command, counted) in [
        ("INV.SET {a}1 10", "ok"),
        ("INV.SET {a}2 1", "ok"),
        ("INV.SET {a}1 11 IF 99", "stale"),
        ("INV.RESERVE {a}1 o1 4", "reserved"),
        ("INV.RESERVE {a}1 o1 4", "reserved replayed"),
        ("INV.RESERVE {a}1 o2 40", "out_of_stock"),
        ("INV.MRESERVE 2 {a}1 {a}2 o3 1 2", "out_of_stock"),
        ("INV.ADJUST {a}1 -8", "below_held"),
        ("INV.EXTEND {a}1 o1 PX 3000000", "extended"),
        ("INV.PREPARE {a}1 o1", "prepared"),
        ("INV.CONFIRM {a}1 o1", "confirmed"),
        ("INV.CONFIRM {a}1 o1", "confirmed replayed"),
        ("INV.RELEASE {a}1 o1", "already_confirmed"),
        ("INV.RETURN {a}1 o1 r1 1", "returned"),
        ("INV.CONFIRM {a}1 unknown", "unknown_hold"),
        ("INV.RELEASE {a}1 o7", "released"),
        ("INV.PREPARE {a}1 late LATE 100", "sold_out"),
        ("INV.GET {a}1", ""),
        ("INV.RESERVE {a}1 o1 0", ""),
    ] {
        let mut expected: Vec<_> = counted
            .split_terminator(' ')
            .map(|word| (format!("answered_{word}"), 1))
            .collect();
        expected.sort();
        assert_eq!(count(c, command)?, expected, "{command}");
    }
    assert_eq!(
        count(c, "INV.MRESERVE 2 {a}1 {a}2 o4 1 1")?,
        [("answered_reserved".to_owned(), 2)]
    );
    // The sweep is held off, so that a command has to expire what it needs.
    ask(c, "CONFIG SET holdfast.sweep-tick-ms 10000");
    eventually("the sweep to be slow", || {
        ask(c, "INV.SET b 1");
        ask(c, "INV.RESERVE b o1 1 PX 1");
        eventually("the deadline", || {
            Ok(module_support::stock(c, "b", "available") == 1)
        })?;
        let counted = count(c, "INV.RESERVE b o2 1")?;
        ask(c, "DEL b");
        Ok(counted
            == [
                ("answered_reserved".to_owned(), 1),
                ("expired_by_command".to_owned(), 1),
            ])
    })?;

    for (command, counted) in [
        (format!("SESSION.START s {digest} anna"), "sessions_started"),
        (format!("SESSION.START s {digest} anna"), ""),
        (
            format!("SESSION.TOUCH s {digest} RATE 0 1 60"),
            "sessions_touched",
        ),
        (
            format!("SESSION.TOUCH s {digest} RATE 0 1 60"),
            "sessions_refused_rate_limited",
        ),
        (
            format!("SESSION.TOUCH s {bad}"),
            "sessions_refused_bad_secret",
        ),
        (
            format!("SESSION.TOUCH none {digest}"),
            "sessions_refused_absent",
        ),
        (
            format!("SESSION.ROTATE s {bad} {digest}"),
            "sessions_refused_bad_secret",
        ),
        (
            format!("SESSION.ROTATE s {digest} {bad}"),
            "sessions_rotated",
        ),
        ("SESSION.END s".to_owned(), "sessions_ended"),
        ("SESSION.END s".to_owned(), ""),
    ] {
        let expected: Vec<_> = counted
            .split_terminator(' ')
            .map(|name| (name.to_owned(), 1))
            .collect();
        assert_eq!(count(c, &command)?, expected, "{command}");
    }
    Ok(())
}

#[test]
fn what_waits_is_shown_on_primary_and_replica() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    ask(c, "INV.SET a 100");
    ask(c, "INV.SET b 100");
    for n in 0..5 {
        ask(c, &format!("INV.RESERVE a o{n} 1 PX 1500"));
    }
    ask(c, "INV.RESERVE b o1 1");
    ask(c, "INV.PREPARE b o1");
    ask(c, "INV.RESERVE a p1 1");
    ask(c, "INV.PREPARE a p1");
    in_step(&primary, &replica)?;
    ask(c, "CLIENT PAUSE 60000 WRITE");
    for c in [&mut *c, &mut *r] {
        eventually("the backlog", || {
            let fields = info(c)?;
            Ok(fields["due_keys"] == 1 && fields["due_holds"] == 5)
        })?;
        eventually("the oldest", || Ok(info(c)?["oldest_prepared_ms"] > 1_000))?;
    }
    ask(c, "CLIENT UNPAUSE");
    for c in [&mut *c, &mut *r] {
        eventually("the backlog to go", || {
            let fields = info(c)?;
            Ok(fields["due_keys"] == 0 && fields["due_holds"] == 0)
        })?;
    }
    let oldest = info(c)?["oldest_prepared_ms"];
    ask(c, "INV.CONFIRM b o1");
    ask(c, "INV.RELEASE a p1");
    for c in [&mut *c, &mut *r] {
        eventually("nothing to be prepared", || {
            Ok(info(c)?["oldest_prepared_ms"] == 0)
        })?;
    }
    ask(c, "INV.RESERVE a p2 1");
    ask(c, "INV.PREPARE a p2");
    eventually("the younger one", || {
        let since = info(c)?["oldest_prepared_ms"];
        Ok(since > 0 && since < oldest)
    })
}

#[test]
fn every_way_to_ask_for_it_shows_the_section() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for (asked, shown) in [
        ("INFO holdfast", true),
        ("INFO everything", true),
        ("INFO modules", true),
        ("INFO memory holdfast", true),
        ("INFO memory", false),
    ] {
        let mut command = redis::Cmd::new();
        asked.split(' ').for_each(|arg| {
            command.arg(arg);
        });
        let text: String = command.query(c)?;
        assert_eq!(
            text.contains("# holdfast\r\nholdfast_stock_keys:0"),
            shown,
            "{asked}"
        );
    }
    Ok(())
}
