//! A replica ends with the very same keys, by what happened on the primary and not by what was asked of it.

mod module_support;

use anyhow::Result;
use module_support::numbers::Numbers;
use module_support::{ask, digest, eventually, in_step, redis, replica};
use redis::Connection;

/// Thousands of random commands on a few keys, with short deadlines.
fn work(c: &mut Connection, numbers: &mut Numbers, commands: usize) {
    for _ in 0..commands {
        let (key, id, units) = (numbers.below(4), numbers.below(200), 1 + numbers.below(3));
        let digest = numbers.below(2).to_string().repeat(64);
        let command = match numbers.below(20) {
            0 => format!("INV.SET k{key} {}", numbers.below(60)),
            1 => format!("INV.SET k{key} {} FORCE", numbers.below(60)),
            2 => format!("INV.ADJUST k{key} {} ID a{id}", units * 5),
            3 => format!("INV.ADJUST k{key} -{units}"),
            4..=7 => format!(
                "INV.RESERVE k{key} o{id} {units} PX {}",
                1 + numbers.below(300)
            ),
            8 => format!("INV.MRESERVE 2 k0 k1 o{id} {units} {units} PX 200"),
            9 | 10 => format!("INV.PREPARE k{key} o{id} LATE {units}"),
            11 => format!("INV.EXTEND k{key} o{id} PX {}", 1 + numbers.below(500)),
            12 | 13 => format!("INV.CONFIRM k{key} o{id}"),
            14 => format!("INV.CONFIRM k{key} o{id} LATE {units}"),
            15 => format!("INV.RELEASE k{key} o{id}"),
            16 => format!(
                "SESSION.START s{key} {digest} user IDLE {}",
                50 + numbers.below(5_000)
            ),
            17 => format!("SESSION.TOUCH s{key} {digest} PAGE /{id} ITEM I{id} RATE 3 1 1"),
            18 => format!("SESSION.SET s{key} f{units} v{id}"),
            _ => format!(
                "SESSION.ROTATE s{key} {digest} {}",
                numbers.below(2).to_string().repeat(64)
            ),
        };
        ask(c, &command);
    }
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
    let keys = ["k0", "k1", "k2", "k3", "s0", "s1", "s2", "s3"];
    eventually("equal digests", || {
        in_step(&primary, &replica)?;
        Ok(keys.iter().all(|key| digest(c, key) == digest(&mut r, key)))
    })?;
    assert!(
        keys[..4]
            .iter()
            .all(|key| digest(c, key) != digest(c, "none")),
        "there must be something to compare"
    );

    // What is in the replica's AOF makes the same keys again.
    let before: Vec<_> = keys[..4].iter().map(|key| digest(&mut r, key)).collect();
    ask(c, "CLIENT PAUSE 60000 WRITE");
    replica.server()?.stop()?;
    replica.start_again()?;
    in_step(&primary, &replica)?;
    let mut r = replica.connection()?;
    let after: Vec<_> = keys[..4].iter().map(|key| digest(&mut r, key)).collect();
    let now: Vec<_> = keys[..4].iter().map(|key| digest(c, key)).collect();
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
    let offset = |c: &mut Connection| {
        let info = ask(c, "INFO replication");
        info.split("master_repl_offset:")
            .nth(1)
            .map(|rest| rest.split('\\').next().unwrap_or_default().to_owned())
    };
    // The primary sends a newline now and then to say that it lives, which is not in the stream; a ping would be.
    let before = offset(c);
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
    assert_eq!(offset(c), before);
    // A control: what changes something is seen.
    ask(c, "INV.RELEASE a o1");
    assert_ne!(offset(c), before);
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
    let folder = primary.server()?.home().folder.join("appendonlydir");
    let mut log = String::new();
    for entry in std::fs::read_dir(folder)? {
        log.push_str(&String::from_utf8_lossy(&std::fs::read(entry?.path())?));
    }
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
