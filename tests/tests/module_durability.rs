//! Nothing is lost or changed by a restart, a copy, a move or a rename.

mod module_support;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::{ask, ask_bytes, digest, eventually, redis, rewrite_aof, stock};
use redis::Connection;

/// Stock with holds of both states, every outcome, adjustments and a shortfall, and a session with everything.
fn fill(c: &mut Connection) {
    let commands = [
        "INV.SET stock 20",
        "INV.RESERVE stock held 2 PX 3600000",
        "INV.RESERVE stock 0190f3a2-7c1e-7abc-8def-0123456789ab 3 PX 3600000",
        "INV.PREPARE stock 0190f3a2-7c1e-7abc-8def-0123456789ab",
        "INV.RESERVE stock sold 4",
        "INV.CONFIRM stock sold QUANTITY 3",
        "INV.RELEASE stock early",
        "INV.ADJUST stock 5 ID delivery-1",
        "INV.ADJUST stock -2 ID broken-1",
        "INV.RESERVE stock expired 1 PX 1",
        "INV.SET few 3",
        "INV.RESERVE few old 2 PX 3600000",
        "INV.RESERVE few young 1 PX 3600000",
        "INV.SET few 2 FORCE",
    ];
    for command in commands {
        let answer = ask(c, command);
        assert!(!answer.starts_with('!'), "{command}: {answer}");
    }
    for number in 0..600 {
        ask(c, &format!("INV.RELEASE stock many-{number}"));
    }
    ask_bytes(
        c,
        &[
            b"INV.RESERVE",
            b"stock",
            b"\0\r\n\xff",
            b"1",
            b"PX",
            b"3600000",
        ],
    );
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    ask(
        c,
        &format!(
            "SESSION.START session {one} ada IDLE 3600000 ABSOLUTE 7200000 ROLES buyer FIELD cart c1"
        ),
    );
    ask(
        c,
        &format!("SESSION.TOUCH session {one} PAGE /lamps ITEM LAMP RATE 5 1 60"),
    );
    ask(
        c,
        &format!("SESSION.ROTATE session {one} {two} GRACE 300000"),
    );
    ask(c, "SESSION.SET session lang en");
}

/// The `seq` of the stock once its hold that is to expire has, so that nothing moves any more.
const SETTLED: i64 = 612;

fn settle(c: &mut Connection) -> Result<()> {
    eventually("the sweep", || Ok(stock(c, "stock", "seq") == SETTLED))
}

fn state(c: &mut Connection) -> Vec<String> {
    let mut state: Vec<_> = ["stock", "few", "session"].map(|key| digest(c, key)).into();
    for command in [
        "INV.GET stock",
        "INV.GET few",
        "SESSION.VIEWED session",
        "PEXPIRETIME session",
        "DEBUG DIGEST",
    ] {
        state.push(ask(c, command));
    }
    state
}

/// What the state must answer, whatever it went through.
fn check(c: &mut Connection) {
    assert_eq!(
        ask(c, "INV.GET few"),
        "on_hand 2 held 3 prepared 0 available 0 sold 0 seq 4 holds 2 shortfall 1"
    );
    assert!(ask(c, "INV.CONFIRM few young").starts_with("SOLD_OUT"));
    assert!(ask(c, "INV.ADJUST stock 5 ID delivery-1").ends_with(" 0 1"));
    assert!(ask(c, "INV.CONFIRM stock sold QUANTITY 3").ends_with(" 0 1"));
    assert!(ask(c, "INV.RESERVE stock early 1").starts_with("RELEASED"));
    assert!(ask(c, "INV.RESERVE stock many-599 1").starts_with("RELEASED"));
    assert!(ask(c, "INV.RESERVE stock expired 1").starts_with("EXPIRED"));
    assert_eq!(
        ask(c, "INV.HOLD stock 0190f3a2-7c1e-7abc-8def-0123456789ab"),
        "id 0190f3a2-7c1e-7abc-8def-0123456789ab state PREPARED quantity 3 deadline 0"
    );
    assert!(ask_bytes(c, &[b"INV.HOLD", b"stock", b"\0\r\n\xff"]).contains("state HELD"));
    let two = "2".repeat(64);
    assert!(ask(c, &format!("SESSION.TOUCH session {two}")).starts_with("OK ada buyer 1 "));
    assert_eq!(ask(c, "SESSION.GET session cart lang page"), "c1 en /lamps");
}

fn survives_a_restart(redis: &Redis) -> Result<()> {
    let before = state(&mut redis.connection()?);
    redis.server()?.stop()?;
    redis.start_again()?;
    let c = &mut redis.connection()?;
    assert_eq!(state(c), before);
    check(c);
    Ok(())
}

#[test]
fn an_rdb_file_brings_everything_back() -> Result<()> {
    let redis = redis(&["--save", "3600 1000000"])?;
    let c = &mut redis.connection()?;
    fill(c);
    settle(c)?;
    survives_a_restart(&redis)
}

#[test]
fn an_append_only_file_brings_everything_back() -> Result<()> {
    let redis = redis(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        "no",
    ])?;
    let c = &mut redis.connection()?;
    fill(c);
    settle(c)?;
    survives_a_restart(&redis)
}

#[test]
fn a_rewritten_append_only_file_brings_everything_back() -> Result<()> {
    for preamble in ["no", "yes"] {
        let redis = redis(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--aof-use-rdb-preamble",
            preamble,
        ])?;
        let c = &mut redis.connection()?;
        fill(c);
        settle(c)?;
        rewrite_aof(c)?;
        survives_a_restart(&redis)?;
    }
    Ok(())
}

#[test]
fn debug_reload_changes_nothing() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    fill(c);
    settle(c)?;
    let before = state(c);
    assert_eq!(ask(c, "DEBUG RELOAD"), "OK");
    assert_eq!(state(c), before);
    check(c);
    Ok(())
}

#[test]
fn a_copy_and_a_restored_dump_equal_the_original() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    fill(c);
    settle(c)?;
    // Whether a key has a TTL is part of its digest, and DUMP leaves it out.
    for (key, ttl) in [
        ("stock", b"0".as_slice()),
        ("few", b"0"),
        ("session", b"3600000"),
    ] {
        assert_eq!(ask(c, &format!("COPY {key} copy")), "1");
        assert_eq!(digest(c, "copy"), digest(c, key));
        let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query(c)?;
        assert_eq!(ask_bytes(c, &[b"RESTORE", b"restored", ttl, &dump]), "OK");
        assert_eq!(digest(c, "restored"), digest(c, key));
        let usage: i64 = ask(c, &format!("MEMORY USAGE {key}")).parse()?;
        assert!(usage > 100, "{key} takes {usage} bytes");
        assert_eq!(ask(c, "DEL copy"), "1");
        assert_eq!(ask(c, "UNLINK restored"), "1");
    }
    // A copy is a stock of its own.
    ask(c, "COPY few copy");
    ask(c, "INV.RELEASE copy old");
    assert_eq!((stock(c, "copy", "held"), stock(c, "few", "held")), (1, 3));
    Ok(())
}

#[test]
fn a_damaged_dump_is_refused_and_harms_nobody() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    fill(c);
    // Else the CRC at the end catches the damage before the module sees it.
    assert_eq!(ask(c, "DEBUG SET-SKIP-CHECKSUM-VALIDATION 1"), "OK");
    for key in ["few", "session"] {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query(c)?;
        let (mut refused, mut taken) = (0, 0);
        // The type's name and version stand in front of the module's own bytes, version and CRC of the dump behind.
        for at in 10..dump.len() - 10 {
            let mut damaged = dump.clone();
            damaged[at] ^= 0x41;
            match ask_bytes(c, &[b"RESTORE", b"damaged", b"0", &damaged]).as_str() {
                "OK" => taken += 1,
                error => {
                    assert!(error.starts_with("!ERR Bad data format"), "{error}");
                    refused += 1;
                }
            }
            for command in [
                "INV.GET damaged",
                "INV.RESERVE damaged o9 1",
                "SESSION.GET damaged",
                "DEL damaged",
            ] {
                ask(c, command);
            }
        }
        assert!(
            refused > 0 && taken > 0,
            "{key}: {refused} refused, {taken} taken"
        );
    }
    settle(c)?;
    check(c);
    Ok(())
}
