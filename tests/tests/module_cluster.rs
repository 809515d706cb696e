//! In a cluster the module's keys are found, refused, moved and handed over like any others, and holds fall due at
//! whoever owns them.

mod module_support;

use std::sync::LazyLock;

use anyhow::{Result, bail, ensure};
use holdfast_tests::cluster::{RedisCluster, id};
use holdfast_tests::redis::Redis;
use module_support::deadlines::{expiring, sweep_comes_by};
use module_support::{ask, digest, eventually, in_step, is_sound, options, stock};
use redis::Connection;

/// Three primaries, the first with a replica, for tests that change nothing but keys and slots of their own.
static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(|| start(3, 1).unwrap());

fn start(primaries: usize, replicas: usize) -> Result<RedisCluster> {
    RedisCluster::start(primaries, replicas, &options(&[], None))
}

/// A tag whose keys lie in a slot of that primary; `name` tells the tests' tags apart.
fn tag(cluster: &RedisCluster, primary: usize, name: &str) -> Result<(String, usize)> {
    let c = &mut cluster.primaries()[primary].connection()?;
    for number in 0..1_000 {
        let tag = format!("{{{name}{number}}}");
        let slot: usize = ask(c, &format!("CLUSTER KEYSLOT {tag}")).parse()?;
        if cluster.slots(primary).contains(&slot) {
            return Ok((tag, slot));
        }
    }
    bail!("no tag of primary {primary}")
}

fn redirected(word: &str, slot: usize, to: &Redis) -> Result<String> {
    Ok(format!("!{word} {slot} 127.0.0.1:{}", to.port()?))
}

#[test]
fn a_key_of_another_node_is_looked_for_there() -> Result<()> {
    let [first, second, _] = CLUSTER.primaries() else {
        unreachable!()
    };
    let (tag, slot) = tag(&CLUSTER, 1, "moved")?;
    let moved = redirected("MOVED", slot, second)?;
    let (c, s) = (&mut first.connection()?, &mut second.connection()?);
    let secret = "1".repeat(64);
    let commands = [
        format!("INV.SET {tag} 5"),
        format!("INV.RESERVE {tag} o1 1"),
        format!("INV.MRESERVE 2 {tag}a {tag}b o2 1 1"),
        format!("INV.GET {tag}"),
        format!("INV.PENDING {tag} 0"),
        format!("SESSION.START {tag}s {secret} ada"),
        format!("SESSION.TOUCH {tag}s {secret}"),
    ];
    for command in &commands {
        assert_eq!(ask(c, command), moved, "{command}");
    }
    ask(s, &format!("INV.SET {tag}a 5"));
    ask(s, &format!("INV.SET {tag}b 5"));
    for command in &commands {
        let reply = ask(s, command);
        assert!(!reply.starts_with('!'), "{command}: {reply}");
    }
    let count = ask(s, &format!("CLUSTER COUNTKEYSINSLOT {slot}"));
    assert_eq!(count, "4");
    ask(s, &format!("SESSION.END {tag}s"));
    assert_eq!(ask(s, &format!("CLUSTER COUNTKEYSINSLOT {slot}")), "3");
    Ok(())
}

#[test]
fn lines_of_several_slots_are_refused_and_change_nothing() -> Result<()> {
    let [first, ..] = CLUSTER.primaries() else {
        unreachable!()
    };
    let ((one, _), (other, _)) = (tag(&CLUSTER, 0, "one")?, tag(&CLUSTER, 0, "other")?);
    let c = &mut first.connection()?;
    for key in [&one, &other] {
        ask(c, &format!("INV.SET {key} 5"));
    }
    ask(c, &format!("INV.SET {one}:leeds 5"));
    let reply = ask(c, &format!("INV.MRESERVE 2 {one} {other} o1 1 1"));
    assert!(reply.starts_with("!CROSSSLOT"), "{reply}");
    assert_eq!((stock(c, &one, "held"), stock(c, &other, "held")), (0, 0));
    let reply = ask(c, &format!("INV.MRESERVE 2 {one} {one}:leeds o1 1 2"));
    assert!(reply.starts_with("RESERVED"), "{reply}");
    assert_eq!(
        ask(
            c,
            &format!("COMMAND GETKEYS INV.MRESERVE 2 {one} {one}:leeds o1 1 2")
        ),
        format!("{one} {one}:leeds")
    );
    // In a script the server looks at the keys before the module does.
    let script = "return redis.call('INV.MRESERVE', 2, KEYS[1], ARGV[1], 'o2', 1, 1)";
    let crossing: Result<redis::Value, _> = redis::cmd("EVAL")
        .arg(script)
        .arg(1)
        .arg(&one)
        .arg(&other)
        .query(c);
    assert!(crossing.is_err());
    assert_eq!((stock(c, &one, "held"), stock(c, &other, "held")), (1, 0));
    Ok(())
}

#[test]
fn a_replica_answers_reads_only_when_asked_to() -> Result<()> {
    let (primary, replica) = (&CLUSTER.primaries()[0], &CLUSTER.replicas()[0]);
    let (tag, slot) = tag(&CLUSTER, 0, "readonly")?;
    let moved = redirected("MOVED", slot, primary)?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    expiring(c, &tag, 1_000);
    in_step(primary, replica)?;
    let (get, reserve) = (format!("INV.GET {tag}"), format!("INV.RESERVE {tag} o2 1"));
    assert_eq!(ask(r, &get), moved);
    assert_eq!(ask(r, "READONLY"), "OK");
    assert_eq!(stock(r, &tag, "on_hand"), 5);
    assert_eq!(ask(r, &reserve), moved);
    sweep_comes_by(c, &tag)?;
    in_step(primary, replica)?;
    assert_eq!(stock(r, &tag, "seq"), 3);
    assert_eq!(digest(r, &tag), digest(c, &tag));
    ask(r, "READWRITE");
    assert_eq!(ask(r, &get), moved);
    Ok(())
}

#[test]
fn a_slot_moves_key_by_key_while_its_holds_run() -> Result<()> {
    let [first, second, third] = CLUSTER.primaries() else {
        unreachable!()
    };
    let (tag, slot) = tag(&CLUSTER, 0, "moving")?;
    let (c, s) = (&mut first.connection()?, &mut second.connection()?);
    let keys = ["a", "b", "c"].map(|name| format!("{tag}{name}"));
    let [a, b, absent] = &keys;
    for key in [a, b] {
        expiring(c, key, 4_000);
    }
    let before = digest(c, a);
    let (from, to) = (id(first)?, id(second)?);
    assert_eq!(
        ask(s, &format!("CLUSTER SETSLOT {slot} IMPORTING {from}")),
        "OK"
    );
    assert_eq!(
        ask(c, &format!("CLUSTER SETSLOT {slot} MIGRATING {to}")),
        "OK"
    );
    let migrate = |c: &mut Connection, key: &str| -> Result<()> {
        let reply = ask(
            c,
            &format!("MIGRATE 127.0.0.1 {} {key} 0 5000", second.port()?),
        );
        ensure!(reply == "OK", "{reply}");
        Ok(())
    };
    migrate(c, a)?;
    assert_eq!(
        digest(s, a),
        before,
        "every hold, deadline and outcome is there"
    );

    let reserve = |key: &str| format!("INV.RESERVE {key} o2 1");
    let both = format!("INV.MRESERVE 2 {a} {b} o3 1 1");
    let redirect = redirected("ASK", slot, second)?;
    // Where the slot still is: what has gone is to be asked for at the other, what is split has to wait.
    assert_eq!(ask(c, &reserve(a)), redirect);
    assert_eq!(ask(c, &format!("INV.SET {absent} 5")), redirect);
    assert!(ask(c, &reserve(b)).starts_with("RESERVED 2 3 "));
    assert!(ask(c, &both).starts_with("!TRYAGAIN"));
    // Where it goes: only whoever was sent is answered.
    assert_eq!(ask(s, &reserve(a)), redirected("MOVED", slot, first)?);
    let mut asking = |command: &str| {
        assert_eq!(ask(s, "ASKING"), "OK");
        ask(s, command)
    };
    assert!(asking(&reserve(a)).starts_with("RESERVED 2 3 "));
    assert!(asking(&both).starts_with("!TRYAGAIN"));
    assert_eq!(asking(&format!("INV.SET {absent} 5")), "OK 5 1 0 0");

    migrate(c, b)?;
    assert_eq!(ask(c, &format!("CLUSTER COUNTKEYSINSLOT {slot}")), "0");
    for node in [second, first, third] {
        let set = ask(
            &mut node.connection()?,
            &format!("CLUSTER SETSLOT {slot} NODE {to}"),
        );
        assert_eq!(set, "OK");
    }
    assert_eq!(ask(s, &format!("CLUSTER COUNTKEYSINSLOT {slot}")), "3");
    assert_eq!(ask(c, &reserve(a)), redirected("MOVED", slot, second)?);
    assert!(ask(s, &both).starts_with("RESERVED "));
    eventually("the sweep at the new owner", || {
        Ok([a, b].iter().all(|key| {
            let expired = ask(s, &format!("INV.HOLD {key} o1")).contains("state EXPIRED");
            expired && stock(s, key, "seq") == 5
        }))
    })?;
    is_sound(first)?;
    is_sound(second)
}
