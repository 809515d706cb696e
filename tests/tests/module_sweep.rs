//! The sweep works in slices with pauses in between, and no key or database waits for another to be done.

mod module_support;

use anyhow::{Context, Result};
use module_support::deadlines::now_ms;
use module_support::{alike, ask, eventually, info, redis, replica, stock};
use redis::Connection;

const LARGE: u64 = 50_000;
const SMALL: u64 = 200;

fn number(c: &mut Connection, name: &str) -> Result<u64> {
    let value = info(c, "holdfast", &format!("holdfast_{name}"))?;
    Ok(value.with_context(|| format!("no {name}"))?.parse()?)
}

/// Takes holds of one unit each that fall due at one instant.
fn reserve(c: &mut Connection, key: &str, holds: u64, at_ms: i64) -> Result<()> {
    let mut pipeline = redis::pipe();
    for n in 0..holds {
        pipeline
            .cmd("INV.RESERVE")
            .arg(key)
            .arg(n)
            .arg(1)
            .arg("PXAT")
            .arg(at_ms);
    }
    Ok(pipeline.exec(c)?)
}

#[test]
fn much_that_falls_due_at_once_is_swept_in_slices_and_others_take_turns() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    ask(c, "CONFIG SET holdfast.sweep-slice-us 100");
    // Nothing is swept while writes are paused, so that all of it is due when the sweep begins.
    let at_ms = now_ms(c)? + 8_000;
    ask(c, &format!("INV.SET large {LARGE}"));
    reserve(c, "large", LARGE, at_ms)?;
    for n in 0..SMALL {
        ask(c, &format!("SELECT {}", n % 3));
        ask(c, &format!("INV.SET small:{n} 5"));
        reserve(c, &format!("small:{n}"), 1, at_ms + 1)?;
    }
    ask(c, "SELECT 0");
    anyhow::ensure!(now_ms(c)? < at_ms, "this machine is too slow for the test");
    ask(c, "CLIENT PAUSE 60000 WRITE");
    eventually("all to be due", || {
        Ok(number(c, "due_holds")? >= LARGE && now_ms(c)? > at_ms + 1)
    })?;
    assert_eq!(number(c, "expired_by_sweep")?, 0);
    assert_eq!(stock(c, "large", "available"), LARGE as i64);

    ask(c, "CLIENT UNPAUSE");
    let mut left = Vec::new();
    eventually("the small keys", || {
        // What is left of the large key, as of before the small ones were looked at.
        left.push(LARGE + SMALL - number(c, "expired_by_sweep")?);
        let mut swept = 0;
        for db in 0..3 {
            ask(c, &format!("SELECT {db}"));
            for n in (0..SMALL).filter(|n| n % 3 == db) {
                swept += u64::from(stock(c, &format!("small:{n}"), "seq") == 3);
            }
        }
        ask(c, "SELECT 0");
        Ok(swept == SMALL)
    })?;
    let expired = number(c, "expired_by_sweep")?;
    assert!(
        expired < LARGE,
        "the large key was done first, after {left:?}"
    );
    eventually("the large key", || {
        Ok(number(c, "expired_by_sweep")? == LARGE + SMALL && number(c, "due_keys")? == 0)
    })?;
    let (slices, full) = (number(c, "sweep_slices")?, number(c, "sweep_slices_full")?);
    assert!(
        slices > 100 && full > 100,
        "{slices} slices, {full} of them full"
    );
    assert!(number(c, "sweep_longest_us")? <= number(c, "sweep_total_us")?);
    assert_eq!(stock(c, "large", "seq") as u64, 1 + 2 * LARGE);
    Ok(())
}

const LINES: u64 = 1_024;
const DUE_A_LINE: u64 = 8;

#[test]
fn an_order_of_many_lines_expires_a_bounded_part_of_what_it_needs_and_is_held_all_the_same()
-> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    ask(c, "CONFIG SET holdfast.sweep-tick-ms 10000");
    let (begun, lines) = (now_ms(c)?, 0..LINES);
    let keys: Vec<String> = lines.map(|line| format!("{{order}}:{line}")).collect();
    for key in &keys {
        ask(c, &format!("INV.SET {key} {DUE_A_LINE}"));
        reserve(c, key, DUE_A_LINE, begun + 4_000)?;
    }
    anyhow::ensure!(
        now_ms(c)? < begun + 4_000,
        "this machine is too slow for the test"
    );
    eventually("all to be due", || Ok(now_ms(c)? > begun + 4_000))?;
    let mut order = redis::cmd("INV.MRESERVE");
    order.arg(LINES).arg(&keys).arg("order");
    for _ in &keys {
        order.arg(DUE_A_LINE);
    }
    let answer = module_support::answer(order.query(c));
    anyhow::ensure!(
        now_ms(c)? < begun + 9_000,
        "this machine is too slow for the test"
    );
    assert!(answer.starts_with("RESERVED [RESERVED 0 "), "{answer}");
    assert_eq!(number(c, "expired_by_sweep")?, 0);
    assert_eq!(number(c, "expired_by_command")?, LINES);
    println!("{:?}", info(c, "commandstats", "cmdstat_inv.mreserve")?);

    ask(c, "CONFIG SET holdfast.sweep-tick-ms 10");
    eventually("the sweep", || {
        Ok(number(c, "expired_by_sweep")? == LINES * (DUE_A_LINE - 1))
    })?;
    assert_eq!(stock(c, &keys[7], "held"), DUE_A_LINE as i64);
    alike(&primary, &replica)
}
