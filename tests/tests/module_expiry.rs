//! Holds fall due by the sweep, wherever their key went, and only on a primary that may write.

mod module_support;

use anyhow::Result;
use module_support::{ask, ask_bytes, digest, eventually, in_step, redis, replica, stock};
use redis::Connection;

/// Starts a hold that is soon over, and returns the `seq` that the sweep must raise.
fn expiring(c: &mut Connection, key: &str) -> i64 {
    ask(c, &format!("INV.SET {key} 5"));
    ask(c, &format!("INV.RESERVE {key} o1 2 PX 1000"));
    stock(c, key, "seq")
}

fn now_ms(c: &mut Connection) -> Result<i64> {
    let (seconds, microseconds): (i64, i64) = redis::cmd("TIME").query(c)?;
    Ok(seconds * 1_000 + microseconds / 1_000)
}

/// Whether the sweep came by, which only `seq` tells: reads leave holds past due out in any case.
fn swept(c: &mut Connection, key: &str, seq: i64) -> bool {
    stock(c, key, "seq") == seq + 1 && stock(c, key, "available") == 5
}

#[test]
fn the_sweep_gives_back_what_is_due() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let seq = expiring(c, "a");
    eventually("the sweep", || Ok(swept(c, "a", seq)))?;
    assert_eq!(
        ask(c, "INV.HOLD a o1"),
        "id o1 state EXPIRED quantity 2 deadline 0"
    );
    Ok(())
}

#[test]
fn a_deadline_follows_its_key() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    let seq = expiring(c, "renamed");
    ask(c, "RENAME renamed to");
    expiring(c, "original");
    ask(c, "COPY original copy");
    expiring(c, "moved");
    ask(c, "MOVE moved 3");
    // Valkey 8.1 leaves the connection in the other database (valkey-io/valkey#4024).
    ask(c, "SELECT 0");
    expiring(c, "dumped");
    let dump: Vec<u8> = redis::cmd("DUMP").arg("dumped").query(c)?;
    ask(c, "DEL dumped");
    ask_bytes(c, &[b"RESTORE", b"restored", b"0", &dump]);
    for key in ["to", "original", "copy", "restored"] {
        eventually(key, || Ok(swept(c, key, seq)))?;
    }
    ask(c, "SELECT 3");
    eventually("moved", || Ok(swept(c, "moved", seq)))?;

    ask(c, "SELECT 5");
    expiring(c, "swapped");
    ask(c, "SWAPDB 5 6");
    ask(c, "SELECT 6");
    eventually("swapped", || Ok(swept(c, "swapped", seq)))?;

    expiring(c, "flushed");
    ask(c, "FLUSHALL");
    let seq = expiring(c, "flushed");
    eventually("flushed", || Ok(swept(c, "flushed", seq)))
}

#[test]
fn a_deadline_survives_a_restart() -> Result<()> {
    for args in [
        ["--save", "3600 1000000", "--appendonly", "no"],
        ["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
    ] {
        let redis = redis(&args)?;
        let c = &mut redis.connection()?;
        ask(c, "INV.SET a 5");
        ask(c, "INV.RESERVE a o1 2 PX 1500");
        let seq = stock(c, "a", "seq");
        redis.server()?.stop()?;
        redis.start_again()?;
        let c = &mut redis.connection()?;
        eventually("the sweep", || Ok(swept(c, "a", seq)))?;
    }
    Ok(())
}

#[test]
fn a_replica_follows_the_primary_and_never_decides() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    expiring(c, "a");
    in_step(&primary, &replica)?;
    // The primary is paused, so nobody sweeps; both show that the hold is over all the same.
    ask(c, "CLIENT PAUSE 60000 WRITE");
    let seq = stock(c, "a", "seq");
    eventually("the deadline", || {
        Ok(stock(r, "a", "available") == 5 && stock(c, "a", "available") == 5)
    })?;
    let due = now_ms(c)?;
    eventually("several ticks of the sweep", || Ok(now_ms(c)? > due + 500))?;
    assert_eq!((stock(c, "a", "seq"), stock(r, "a", "seq")), (seq, seq));
    assert_eq!(digest(c, "a"), digest(r, "a"));
    ask(c, "CLIENT UNPAUSE");
    eventually("the sweep", || Ok(swept(c, "a", seq)))?;
    in_step(&primary, &replica)?;
    assert_eq!(digest(c, "a"), digest(r, "a"));
    assert_eq!(stock(r, "a", "seq"), seq + 1);
    Ok(())
}

#[test]
fn a_promoted_replica_sweeps_what_it_has_learned() -> Result<()> {
    let primary = redis(&[])?;
    ask(&mut primary.connection()?, "INV.SET early 5");
    ask(&mut primary.connection()?, "INV.RESERVE early o1 2 PX 3000");
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    ask(c, "INV.SET late 5");
    ask(c, "INV.RESERVE late o1 2 PX 3000");
    in_step(&primary, &replica)?;
    primary.server()?.kill()?;
    let r = &mut replica.connection()?;
    ask(r, "REPLICAOF NO ONE");
    for key in ["early", "late"] {
        eventually(key, || Ok(swept(r, key, 2)))?;
    }
    Ok(())
}

#[test]
fn ten_thousand_holds_due_at_once_stop_nobody() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    ask(c, "INV.SET a 10000");
    let at = now_ms(c)? + 3_000;
    let mut pipeline = redis::pipe();
    for n in 0..10_000 {
        pipeline
            .cmd("INV.RESERVE")
            .arg("a")
            .arg(n)
            .arg(1)
            .arg("PXAT")
            .arg(at);
    }
    let replies: Vec<redis::Value> = pipeline.query(c)?;
    assert_eq!(replies.len(), 10_000);
    assert_eq!(stock(c, "a", "seq"), 10_001);
    ask(c, "CONFIG RESETSTAT");
    eventually("the sweep", || Ok(stock(c, "a", "seq") == 20_001))?;
    assert_eq!(stock(c, "a", "available"), 10_000);
    Ok(())
}
