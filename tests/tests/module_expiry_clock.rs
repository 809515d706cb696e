//! A clock that jumps: holds fall due by the clock as it is now, and the sweep goes on.

mod module_support;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast_tests::data::Home;
use holdfast_tests::redis::{Redis, RedisOptions};
use module_support::deadlines::{expiring, now_ms, sweep_comes_by};
use module_support::{ask, digest, eventually, in_step, is_sound, options, stock};

const HOUR_MS: i64 = 3_600_000;

/// A wall clock that a server is started with and that can be set while it runs.
struct Clock(Home);

impl Clock {
    fn new() -> Result<Clock> {
        let clock = Clock(Home::for_test("clock")?);
        clock.set(0)?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.0.path("clock.so"))
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/module_support/clock.c"
            ))
            .output()
            .context("cannot run cc")?;
        let said = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "cc cannot build the clock: {said}");
        Ok(clock)
    }

    /// Sets how far the clock is from the true time, in milliseconds.
    fn set(&self, offset_ms: i64) -> Result<()> {
        use std::os::unix::fs::FileExt;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.0.path("offset"))?;
        Ok(file.write_all_at(&offset_ms.to_ne_bytes(), 0)?)
    }

    fn start(&self, replica_of: Option<u16>) -> Result<Redis> {
        let text = |name| self.0.path(name).display().to_string();
        Redis::start_private(RedisOptions {
            envs: vec![
                ("LD_PRELOAD".to_owned(), text("clock.so")),
                ("HOLDFAST_CLOCK".to_owned(), text("offset")),
            ],
            ..options(&[], replica_of)
        })
    }
}

#[test]
fn a_clock_that_jumps_forward_makes_holds_due_at_once() -> Result<()> {
    let clock = Clock::new()?;
    let redis = clock.start(None)?;
    let c = &mut redis.connection()?;
    let before = now_ms(c)?;
    expiring(c, "a", 3_000_000);
    clock.set(HOUR_MS)?;
    sweep_comes_by(c, "a")?;
    assert!(
        now_ms(c)? >= before + HOUR_MS,
        "the control: the clock did jump"
    );
    expiring(c, "b", 300);
    sweep_comes_by(c, "b")?;
    is_sound(&redis)
}

#[test]
fn a_clock_that_jumps_back_stops_no_sweep() -> Result<()> {
    let clock = Clock::new()?;
    let redis = clock.start(None)?;
    let c = &mut redis.connection()?;
    expiring(c, "before", 300_000);
    expiring(c, "swept", 100);
    sweep_comes_by(c, "swept")?;
    let before = now_ms(c)?;
    clock.set(-HOUR_MS)?;
    eventually("the jump", || Ok(now_ms(c)? < before))?;
    expiring(c, "after", 500);
    assert_eq!(stock(c, "after", "seq"), 2);
    sweep_comes_by(c, "after")?;
    // What was held before the jump is held for as much longer, and no longer.
    assert_eq!(stock(c, "before", "seq"), 2);
    clock.set(0)?;
    assert_eq!(stock(c, "before", "held"), 2);
    clock.set(300_000)?;
    sweep_comes_by(c, "before")?;
    is_sound(&redis)
}

#[test]
fn a_replica_whose_clock_is_ahead_decides_nothing() -> Result<()> {
    let (true_clock, fast_clock) = (Clock::new()?, Clock::new()?);
    let primary = true_clock.start(None)?;
    fast_clock.set(HOUR_MS)?;
    let replica = fast_clock.start(Some(primary.port()?))?;
    in_step(&primary, &replica)?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    expiring(c, "a", 3_000_000);
    ask(c, "INV.RESERVE a o2 3 PX 1000");
    in_step(&primary, &replica)?;
    assert_eq!(digest(c, "a"), digest(r, "a"));
    eventually("the sweep", || Ok(stock(c, "a", "seq") == 4))?;
    in_step(&primary, &replica)?;
    assert_eq!((stock(c, "a", "held"), stock(r, "a", "seq")), (2, 4));
    assert_eq!(digest(c, "a"), digest(r, "a"));
    Ok(())
}
