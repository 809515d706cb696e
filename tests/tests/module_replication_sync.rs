//! Replicas that come late, lose the line, hang behind one another or load in any way end with the very same keys.

mod module_support;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::deadlines::{expiring, sweep_comes_by};
use module_support::numbers::Numbers;
use module_support::workload::{KEYS, Worker, work};
use module_support::{
    alike, ask, digest, eventually, in_step, info, is_sound, redis, replica, stock,
};
use redis::Connection;

fn number(c: &mut Connection, section: &str, name: &str) -> Result<u64> {
    Ok(info(c, section, name)?.unwrap_or_default().parse()?)
}

/// Has a replica take everything anew, by making its primary another one in name.
fn copy_again(primary: &Redis) -> Result<()> {
    let c = &mut primary.connection()?;
    let copies = number(c, "stats", "sync_full")?;
    assert_eq!(ask(c, "DEBUG CHANGE-REPL-ID"), "OK");
    ask(c, "CLIENT KILL TYPE replica");
    eventually("another copy", || {
        Ok(number(c, "stats", "sync_full")? > copies)
    })
}

#[test]
fn a_chain_of_replicas_ends_alike() -> Result<()> {
    let first = redis(&[])?;
    let second = replica(&first, &[])?;
    let third = replica(&second, &[])?;
    work(&mut first.connection()?, &mut Numbers::new(3), 4_000);
    alike(&first, &second)?;
    alike(&first, &third)?;
    // The last one is told by the middle one what the first has decided, the sweep's work too.
    let (c, t) = (&mut first.connection()?, &mut third.connection()?);
    expiring(c, "a", 300);
    sweep_comes_by(c, "a")?;
    alike(&first, &third)?;
    assert_eq!(stock(t, "a", "seq"), 3);

    // The middle one takes over.
    ask(&mut second.connection()?, "REPLICAOF NO ONE");
    work(&mut second.connection()?, &mut Numbers::new(4), 1_000);
    ask(c, &format!("REPLICAOF 127.0.0.1 {}", second.port()?));
    alike(&second, &third)?;
    alike(&second, &first)?;
    for redis in [&first, &second, &third] {
        is_sound(redis)?;
    }
    Ok(())
}

#[test]
fn a_cut_line_is_mended_with_what_was_missed() -> Result<()> {
    let primary = redis(&["--repl-backlog-size", "64mb"])?;
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    let worker = Worker::start(&primary, 5)?;
    for mended in 1..=3 {
        assert_eq!(ask(c, "CLIENT KILL TYPE replica"), "1");
        eventually("the line", || {
            let down = number(c, "replication", "connected_slaves")? == 0;
            Ok(!down && number(c, "stats", "sync_partial_ok")? >= mended)
        })?;
    }
    worker.stop()?;
    alike(&primary, &replica)?;
    assert_eq!(number(c, "stats", "sync_full")?, 1);
    assert!(KEYS.iter().all(|key| digest(c, key) != digest(c, "none")));
    is_sound(&replica)
}

#[test]
fn a_copy_is_taken_while_the_work_goes_on() -> Result<()> {
    for (diskless, load) in [
        ("no", "disabled"),
        ("yes", "disabled"),
        ("yes", "on-empty-db"),
        ("yes", "swapdb"),
    ] {
        let primary = redis(&["--repl-diskless-sync", diskless])?;
        let c = &mut primary.connection()?;
        work(c, &mut Numbers::new(1), 500);
        expiring(c, "before", 6_000);
        let worker = Worker::start(&primary, 6)?;
        let replica = replica(&primary, &["--repl-diskless-load", load])?;
        // The second copy comes over what the first one brought.
        copy_again(&primary)?;
        expiring(c, "after", 6_000);
        worker.stop()?;
        alike(&primary, &replica)?;
        let r = &mut replica.connection()?;
        assert_eq!(stock(r, "before", "seq"), 2, "nothing was due yet");
        ask(r, "REPLICAOF NO ONE");
        for key in ["before", "after"] {
            sweep_comes_by(r, key)?;
        }
        is_sound(&replica)?;
    }
    Ok(())
}

#[test]
fn a_copy_that_breaks_off_harms_nobody() -> Result<()> {
    for load in ["disabled", "on-empty-db", "swapdb"] {
        // Half a millisecond a key: the copy takes seconds.
        let primary = redis(&["--repl-diskless-sync", "yes", "--rdb-key-save-delay", "500"])?;
        let replica = redis(&["--repl-diskless-load", load])?;
        let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
        // One key that is too large for one read of the socket, among many.
        ask(c, "INV.SET large 1000000");
        let mut pipeline = redis::pipe();
        for n in 0..20_000 {
            pipeline.cmd("INV.RESERVE").arg("large").arg(n).arg(1);
        }
        for n in 0..8_000 {
            pipeline.cmd("INV.SET").arg(format!("small{n}")).arg(n);
        }
        pipeline.query::<()>(c)?;
        if load != "on-empty-db" {
            expiring(r, "own", 3_000);
        }
        ask(r, &format!("REPLICAOF 127.0.0.1 {}", primary.port()?));
        eventually("a part of the copy", || {
            Ok(number(c, "persistence", "current_save_keys_processed")? > 2_000)
        })?;
        primary.server()?.kill()?;
        eventually("the end of the copy", || {
            Ok(number(r, "persistence", "loading")? == 0
                && number(r, "persistence", "async_loading")? == 0)
        })?;
        ask(r, "REPLICAOF NO ONE");
        if load == "on-empty-db" {
            assert_eq!(ask(r, "DBSIZE"), "0");
        } else {
            // It has kept its own, with the deadlines.
            assert_eq!(ask(r, "DBSIZE"), "1");
            sweep_comes_by(r, "own")?;
        }
        expiring(r, "new", 300);
        sweep_comes_by(r, "new")?;
        is_sound(&replica)?;
    }
    Ok(())
}

#[test]
fn a_key_with_a_million_holds_is_copied_whole() -> Result<()> {
    let primary = redis(&[])?;
    let c = &mut primary.connection()?;
    ask(c, "INV.SET a 2000000");
    for batch in 0..100 {
        let mut pipeline = redis::pipe();
        for n in 0..10_000 {
            let id = format!("0190f3a2-7c1e-7abc-8def-{:012x}", batch * 10_000 + n);
            pipeline
                .cmd("INV.RESERVE")
                .arg("a")
                .arg(id)
                .arg(1)
                .arg("PX")
                .arg(3_000_000)
                .ignore();
        }
        pipeline.query::<()>(c)?;
    }
    assert_eq!(stock(c, "a", "holds"), 1_000_000);
    let replica = replica(&primary, &[])?;
    let r = &mut replica.connection()?;
    assert_eq!(digest(r, "a"), digest(c, "a"));
    // The copy is followed up, and finds any of them.
    ask(c, "INV.CONFIRM a 0190f3a2-7c1e-7abc-8def-000000000007");
    in_step(&primary, &replica)?;
    assert_eq!(stock(r, "a", "sold"), 1);
    assert_eq!(digest(r, "a"), digest(c, "a"));
    is_sound(&replica)
}
