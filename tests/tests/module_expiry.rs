//! Holds fall due by the sweep, whatever the server is doing at that time.

mod module_support;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use module_support::deadlines::{expiring, now_ms, sweep_comes_by, sweeps_after};
use module_support::{ask, eventually, is_sound, redis, rewrite_aof, stock};

#[test]
fn the_sweep_gives_back_what_is_due() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    expiring(c, "a", 1_000);
    sweep_comes_by(c, "a")?;
    assert_eq!(
        ask(c, "INV.HOLD a o1"),
        "id o1 state EXPIRED quantity 2 deadline 0"
    );
    Ok(())
}

#[test]
fn ten_thousand_holds_due_at_once_are_all_given_back() -> Result<()> {
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
    eventually("the sweep", || Ok(stock(c, "a", "seq") == 20_001))?;
    assert_eq!(stock(c, "a", "available"), 10_000);
    Ok(())
}

#[test]
fn a_paused_server_sweeps_when_the_pause_is_over() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    for (key, pause, end) in [
        ("ended", "CLIENT PAUSE 60000 WRITE", "CLIENT UNPAUSE"),
        ("over", "CLIENT PAUSE 2500 WRITE", "PING"),
    ] {
        expiring(c, key, 500);
        let due = now_ms(c)? + 500;
        assert_eq!(ask(c, pause), "OK");
        sweeps_after(c, due)?;
        assert_eq!(stock(c, key, "available"), 5, "a read leaves it out");
        assert_eq!(stock(c, key, "seq"), 2, "the sweep must wait");
        ask(c, end);
        sweep_comes_by(c, key)?;
    }
    // A pause of everything lets no read through either; the sweep must know of it all the same.
    expiring(c, "all", 500);
    ask(c, "CLIENT PAUSE 1500 ALL");
    sweep_comes_by(c, "all")?;
    is_sound(&redis)
}

#[test]
fn a_deadline_survives_a_restart() -> Result<()> {
    let rdb = ["--save", "3600 1000000", "--appendonly", "no"];
    let aof = ["--appendonly", "yes", "--aof-use-rdb-preamble", "no"];
    let aof_with_rdb = ["--appendonly", "yes", "--aof-use-rdb-preamble", "yes"];
    for (args, rewritten) in [
        (rdb, false),
        (aof, false),
        (aof, true),
        (aof_with_rdb, true),
    ] {
        let redis = redis(&args)?;
        let c = &mut redis.connection()?;
        expiring(c, "later", 4_000);
        ask(c, "SELECT 9");
        expiring(c, "elsewhere", 4_000);
        expiring(c, "while-down", 700);
        let due = now_ms(c)? + 700;
        if rewritten {
            rewrite_aof(c)?;
        }
        redis.server()?.stop()?;
        eventually("the deadline", || {
            Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64 > due)
        })?;
        redis.start_again()?;
        let c = &mut redis.connection()?;
        sweep_comes_by(c, "later")?;
        ask(c, "SELECT 9");
        for key in ["elsewhere", "while-down"] {
            sweep_comes_by(c, key)?;
        }
        is_sound(&redis)?;
    }
    Ok(())
}
