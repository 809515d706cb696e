//! A replica ends with the very same keys, by what happened on the primary and not by what was asked of it.

mod module_support;

use anyhow::Result;
use holdfast_tests::redis::Redis;
use module_support::numbers::Numbers;
use module_support::workload::{KEYS, work};
use module_support::{alike, ask, digest, in_step, info, redis, replica, stock};
use redis::Connection;

/// What is in its AOF.
fn aof(redis: &Redis) -> Result<String> {
    let folder = redis.server()?.home().folder.join("appendonlydir");
    let mut log = String::new();
    for entry in std::fs::read_dir(folder)? {
        log.push_str(&String::from_utf8_lossy(&std::fs::read(entry?.path())?));
    }
    Ok(log)
}

#[test]
fn a_replica_equals_its_primary_after_any_workload() -> Result<()> {
    let primary = redis(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"])?;
    let c = &mut primary.connection()?;
    let mut numbers = Numbers::new(7);
    work(c, &mut numbers, 2_000);
    // One replica starts from a copy and follows from there; its AOF is written from what it was sent.
    let replica = replica(
        &primary,
        &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
    )?;
    work(c, &mut numbers, 8_000);
    let mut r = replica.connection()?;
    alike(&primary, &replica)?;
    assert!(
        KEYS.iter().all(|key| digest(c, key) != digest(c, "none")),
        "there must be something to compare"
    );

    // What is in the replica's AOF makes the same keys again.
    let before: Vec<_> = KEYS.iter().map(|key| digest(&mut r, key)).collect();
    ask(c, "CLIENT PAUSE 60000 WRITE");
    replica.server()?.stop()?;
    replica.start_again()?;
    in_step(&primary, &replica)?;
    let mut r = replica.connection()?;
    let after: Vec<_> = KEYS.iter().map(|key| digest(&mut r, key)).collect();
    let now: Vec<_> = KEYS.iter().map(|key| digest(c, key)).collect();
    assert!(
        after == before || after == now,
        "{after:?} is neither {before:?} nor {now:?}"
    );
    assert_eq!(after, now);
    Ok(())
}

#[test]
fn replays_and_refusals_replicate_nothing() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &["--repl-ping-replica-period", "3600"])?;
    let c = &mut primary.connection()?;
    ask(c, "CONFIG SET repl-ping-replica-period 3600");
    let secret = "1".repeat(64);
    ask(c, "INV.SET a 5");
    ask(c, "INV.RESERVE a o1 2 PX 3600000");
    ask(c, "INV.RELEASE a o2");
    ask(c, &format!("SESSION.START s {secret} ada"));
    ask(c, &format!("SESSION.TOUCH s {secret} RATE 0 1 3600"));
    in_step(&primary, &replica)?;
    let offset = |c: &mut Connection| info(c, "replication", "master_repl_offset");
    // The primary sends a newline now and then to say that it lives, which is not in the stream; a ping would be.
    let before = offset(c)?;
    for command in [
        "INV.SET a 5",
        "INV.RESERVE a o1 2",
        "INV.RESERVE a o1 3",
        "INV.RESERVE a o3 9",
        "INV.RELEASE a o2",
        "INV.EXTEND a o1 PX 1",
        "INV.GET a",
        "SESSION.SET s",
        "SESSION.GET s",
        "SESSION.END none",
    ] {
        ask(c, command);
    }
    ask(c, &format!("SESSION.START s {secret} ada"));
    assert!(ask(c, &format!("SESSION.TOUCH s {secret} RATE 0 1 3600")).starts_with("RATE_LIMITED"));
    assert_eq!(offset(c)?, before);
    // A control: what changes something is seen.
    ask(c, "INV.RELEASE a o1");
    assert_ne!(offset(c)?, before);
    Ok(())
}

#[test]
fn effects_go_out_with_absolute_times() -> Result<()> {
    let primary = redis(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        "no",
    ])?;
    let c = &mut primary.connection()?;
    ask(c, "INV.SET a 5");
    ask(c, "INV.RESERVE a o1 2 PX 3600000");
    let log = aof(&primary)?;
    assert!(log.contains("INV.APPLY"), "{log}");
    assert!(log.contains("RESERVED"), "{log}");
    assert!(!log.contains("PX") && !log.contains("INV.RESERVE"), "{log}");
    Ok(())
}

#[test]
fn a_replica_refuses_an_effect_after_a_gap() -> Result<()> {
    let redis = redis(&[])?;
    let c = &mut redis.connection()?;
    ask(c, "INV.APPLY a 1 COUNTED 5");
    ask(c, "INV.APPLY a 2 RESERVED o1 2 99999999999999");
    let before = digest(c, "a");
    assert!(
        ask(c, "INV.APPLY a 4 RELEASED o1 5").starts_with("!ERR the ledger at 'a' is at seq 2")
    );
    assert!(
        ask(c, "INV.APPLY a 2 RELEASED o1 5").starts_with("!ERR the ledger at 'a' is at seq 2")
    );
    assert_eq!(digest(c, "a"), before);
    assert_eq!(ask(c, "INV.APPLY a 3 RELEASED o1 5"), "OK");
    Ok(())
}

#[test]
fn a_transaction_and_a_script_go_out_as_their_effects_in_their_order() -> Result<()> {
    let primary = redis(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        "no",
    ])?;
    let replica = replica(&primary, &[])?;
    let c = &mut primary.connection()?;
    ask(c, "INV.SET a 5");
    ask(c, "INV.RESERVE a first-one 5 PX 60000");
    for command in [
        "MULTI",
        "INV.RELEASE a first-one",
        "INV.RESERVE a second-one 5",
        "SET between two",
        "INV.CONFIRM a second-one QUANTITY 3",
    ] {
        ask(c, command);
    }
    assert!(ask(c, "EXEC").contains("[CONFIRMED 2 "));
    let script = "redis.call('INV.RESERVE', KEYS[1], 'third-one', 2)
        redis.call('SET', 'in-script', 'x')
        return redis.call('INV.CONFIRM', KEYS[1], 'third-one')";
    let reply: redis::Value = redis::cmd("EVAL").arg(script).arg(1).arg("a").query(c)?;
    assert!(matches!(reply, redis::Value::Array(_)), "{reply:?}");
    // What a script has done before it fails stays done, and goes out.
    let failing = "redis.call('INV.ADJUST', KEYS[1], 7) redis.call('INV.RESERVE', KEYS[1], 'x', 0)";
    let failed: Result<redis::Value, _> = redis::cmd("EVAL").arg(failing).arg(1).arg("a").query(c);
    assert!(failed.is_err());
    assert_eq!(stock(c, "a", "available"), 7);
    alike(&primary, &replica)?;

    let log = aof(&primary)?;
    let mut rest = log.as_str();
    for word in [
        "first-one",
        "MULTI",
        "RELEASED",
        "second-one",
        "between",
        "CONFIRMED",
        "EXEC",
        "MULTI",
        "third-one",
        "in-script",
        "CONFIRMED",
        "EXEC",
        "INV.APPLY",
    ] {
        let at = rest.find(word);
        let at = at.unwrap_or_else(|| panic!("{word} does not come next in {log}"));
        rest = &rest[at + word.len()..];
    }
    assert!(!log.contains("EVAL"), "{log}");
    Ok(())
}

#[test]
fn a_replica_refuses_every_command_that_writes() -> Result<()> {
    let primary = redis(&[])?;
    let replica = replica(&primary, &[])?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    let secret = "1".repeat(64);
    ask(c, "INV.SET a 5");
    ask(c, "INV.RESERVE a o1 2");
    ask(c, &format!("SESSION.START s {secret} ada"));
    in_step(&primary, &replica)?;
    let before = ask(r, "DEBUG DIGEST");
    let commands: Vec<String> = redis::cmd("COMMAND")
        .arg("LIST")
        .arg("FILTERBY")
        .arg("MODULE")
        .arg("holdfast")
        .query(r)?;
    let mut refused = 0;
    for name in &commands {
        let flags = ask(r, &format!("COMMAND INFO {name}"));
        if flags.contains("write") {
            let args = match name.as_str() {
                "inv.mreserve" => "1 a o2 1",
                "inv.apply" => "a 3 RELEASED o1 5",
                "session.end" => "s",
                _ => "a o1 1 1 1",
            };
            let reply = ask(r, &format!("{name} {args}"));
            // One that has too many arguments is refused for that.
            if !reply.contains("wrong number of arguments") {
                assert!(reply.starts_with("!READONLY"), "{name}: {reply}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 8, "only {refused} of {commands:?} were tried");
    assert_eq!(ask(r, "DEBUG DIGEST"), before);
    assert_eq!(stock(r, "a", "held"), 2, "but reads are answered");
    Ok(())
}

#[test]
fn a_hold_can_wait_for_its_replicas() -> Result<()> {
    let primary = redis(&[])?;
    let replicas = [replica(&primary, &[])?, replica(&primary, &[])?];
    let c = &mut primary.connection()?;
    ask(c, "INV.SET a 5");
    ask(c, "INV.RESERVE a o1 2");
    assert_eq!(ask(c, "WAIT 2 20000"), "2");
    for replica in &replicas {
        assert_eq!(stock(&mut replica.connection()?, "a", "held"), 2);
    }
    Ok(())
}
