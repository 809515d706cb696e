//! Whoever is primary sweeps and decides, nobody else does, and no change of roles crashes anybody.

mod module_support;

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::deadlines::{expiring, now_ms, sweep_comes_by, sweeps_after};
use module_support::{ask, digest, eventually, in_step, info, is_sound, redis, replica, stock};
use nix::sys::signal::Signal;

/// Enough that a replica which does not read falls behind: more than the sockets between them take.
const MUCH: usize = 64 << 20;

fn has_role(redis: &Redis, role: &str) -> Result<bool> {
    let c = &mut redis.connection()?;
    Ok(info(c, "replication", "role")?.as_deref() == Some(role))
}

/// Sends what a stopped replica cannot take.
fn leave_behind(primary: &Redis) -> Result<()> {
    let c = &mut primary.connection()?;
    let _: () = redis::cmd("SET")
        .arg("much")
        .arg("x".repeat(MUCH))
        .query(c)?;
    let _: () = redis::cmd("DEL").arg("much").query(c)?;
    Ok(())
}

#[test]
fn a_replica_shows_what_is_past_due_and_changes_nothing_while_its_primary_hangs() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    expiring(c, "a", 1_500);
    in_step(&primary, &replica)?;
    let before = digest(r, "a");
    let due = now_ms(r)? + 1_500;
    primary.server()?.signal(Signal::SIGSTOP)?;
    sweeps_after(r, due)?;
    assert_eq!(stock(r, "a", "available"), 5);
    assert_eq!(stock(r, "a", "held"), 0);
    assert!(ask(r, "INV.HOLD a o1").contains("state EXPIRED"));
    assert_eq!((stock(r, "a", "seq"), digest(r, "a")), (2, before));
    assert!(ask(r, "INV.RESERVE a o2 1").starts_with("!READONLY"));

    primary.server()?.signal(Signal::SIGCONT)?;
    sweep_comes_by(c, "a")?;
    sweep_comes_by(r, "a")?;
    assert_eq!(digest(r, "a"), digest(c, "a"));
    Ok(())
}

#[test]
fn a_replica_that_was_cut_off_and_promoted_goes_on() -> Result<()> {
    let primary = redis(&[])?;
    expiring(&mut primary.connection()?, "copied", 3_000);
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    for key in ["sent", "decided"] {
        expiring(c, key, 3_000);
    }
    in_step(&primary, &replica)?;
    let due = now_ms(c)? + 3_000;
    primary.server()?.signal(Signal::SIGSTOP)?;
    let r = &mut replica.connection()?;
    sweeps_after(r, due)?;
    assert_eq!(ask(r, "REPLICAOF NO ONE"), "OK");
    // It decides by the deadlines that it was told, whether its sweep has come by or not.
    assert!(ask(r, "INV.CONFIRM decided o1").starts_with("EXPIRED 5 "));
    assert_eq!(ask(r, "INV.RESERVE decided o2 5"), "RESERVED 0 4 T 0");
    for key in ["copied", "sent"] {
        sweep_comes_by(r, key)?;
    }
    // The former primary comes back and follows; what it decided alone meanwhile is gone.
    primary.server()?.signal(Signal::SIGCONT)?;
    sweep_comes_by(c, "sent")?;
    ask(c, "INV.RESERVE sent alone 5");
    ask(c, &format!("REPLICAOF 127.0.0.1 {}", replica.port()?));
    in_step(&replica, &primary)?;
    assert!(ask(c, "INV.HOLD sent alone").starts_with('-'));
    assert_eq!(ask(c, "DEBUG DIGEST"), ask(r, "DEBUG DIGEST"));
    expiring(r, "after", 300);
    sweep_comes_by(r, "after")?;
    in_step(&replica, &primary)?;
    assert_eq!(digest(c, "after"), digest(r, "after"));
    is_sound(&primary)?;
    is_sound(&replica)
}

#[test]
fn a_failover_hands_the_deadlines_over() -> Result<()> {
    let first = redis(&[])?;
    let second = replica(&first, &[])?;
    let c = &mut first.connection()?;
    for n in 0..50 {
        expiring(c, &format!("k{n}"), 20 * (n + 1));
    }
    assert_eq!(ask(c, "FAILOVER"), "OK");
    eventually("the change of roles", || {
        Ok(has_role(&second, "master")? && has_role(&first, "slave")?)
    })?;
    let s = &mut second.connection()?;
    for n in 0..50 {
        sweep_comes_by(s, &format!("k{n}"))?;
    }
    expiring(s, "after", 300);
    sweep_comes_by(s, "after")?;
    in_step(&second, &first)?;
    assert_eq!(ask(c, "DEBUG DIGEST"), ask(s, "DEBUG DIGEST"));
    is_sound(&first)?;
    is_sound(&second)
}

#[test]
fn a_failover_that_is_given_up_leaves_the_sweep_running() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    replica.server()?.signal(Signal::SIGSTOP)?;
    leave_behind(&primary)?;
    expiring(c, "a", 500);
    let due = now_ms(c)? + 500;
    // Until the replica has caught up, which it cannot, all writes wait; the sweep's must too.
    assert_eq!(ask(c, "FAILOVER"), "OK");
    sweeps_after(c, due)?;
    assert_eq!(stock(c, "a", "seq"), 2);
    assert_eq!(ask(c, "FAILOVER ABORT"), "OK");
    sweep_comes_by(c, "a")?;
    replica.server()?.signal(Signal::SIGCONT)?;
    in_step(&primary, &replica)?;
    assert_eq!(
        ask(c, "DEBUG DIGEST"),
        ask(&mut replica.connection()?, "DEBUG DIGEST")
    );
    is_sound(&primary)?;
    is_sound(&replica)
}

#[test]
fn a_shutdown_that_waits_for_a_replica_is_not_disturbed() -> Result<()> {
    for aborted in [true, false] {
        let primary = redis(&["--shutdown-timeout", "3", "--appendonly", "yes"])?;
        let replica = replica(&primary, &[])?;
        let c = &mut primary.connection()?;
        replica.server()?.signal(Signal::SIGSTOP)?;
        leave_behind(&primary)?;
        for n in 0..20 {
            expiring(c, &format!("k{n}"), 500 + 100 * n);
        }
        let due = now_ms(c)? + 500;
        primary.server()?.signal(Signal::SIGTERM)?;
        if aborted {
            sweeps_after(c, due)?;
            assert_eq!(stock(c, "k0", "seq"), 2, "it is shutting down");
            assert_eq!(ask(c, "SHUTDOWN ABORT"), "OK");
        } else {
            // Holds fall due while it waits.
            primary.server()?.wait_for_end(Duration::from_secs(30))?;
            primary.start_again()?;
        }
        let c = &mut primary.connection()?;
        for n in 0..20 {
            sweep_comes_by(c, &format!("k{n}"))?;
        }
        replica.server()?.signal(Signal::SIGCONT)?;
        in_step(&primary, &replica)?;
        assert_eq!(
            ask(c, "DEBUG DIGEST"),
            ask(&mut replica.connection()?, "DEBUG DIGEST")
        );
        is_sound(&primary)?;
    }
    Ok(())
}
