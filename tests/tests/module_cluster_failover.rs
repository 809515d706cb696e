//! In a cluster, whoever becomes the owner of keys goes on with their holds.

mod module_support;

use anyhow::{Context, Result, ensure};
use holdfast_tests::cluster::{RedisCluster, id};
use holdfast_tests::redis::Redis;
use module_support::deadlines::{expiring, now_ms, sweep_comes_by, sweeps_after};
use module_support::{alike, ask, digest, eventually, in_step, info, is_sound, options, stock};

const KEYS: usize = 20;

/// Keys of the first primary.
fn keys(cluster: &RedisCluster) -> Result<Vec<String>> {
    let c = &mut cluster.primaries()[0].connection()?;
    let mut keys = Vec::new();
    for number in 0.. {
        let key = format!("key{number}");
        let slot: usize = ask(c, &format!("CLUSTER KEYSLOT {key}")).parse()?;
        if cluster.slots(0).contains(&slot) {
            keys.push(key);
        }
        if keys.len() == KEYS {
            break;
        }
    }
    Ok(keys)
}

fn is_primary(node: &Redis) -> Result<bool> {
    Ok(info(&mut node.connection()?, "replication", "role")?.as_deref() == Some("master"))
}

#[test]
fn a_replica_that_is_told_to_take_over_goes_on() -> Result<()> {
    let cluster = RedisCluster::start(3, 1, &options(&[], None))?;
    let (primary, replica) = (&cluster.primaries()[0], &cluster.replicas()[0]);
    let keys = keys(&cluster)?;
    let (c, r) = (&mut primary.connection()?, &mut replica.connection()?);
    // Some fall due before, some while and some after the roles change.
    for (ms, key) in (200..).step_by(200).zip(&keys) {
        expiring(c, key, ms);
    }
    in_step(primary, replica)?;
    assert_eq!(ask(r, "CLUSTER FAILOVER"), "OK");
    eventually("the change of roles", || {
        Ok(is_primary(replica)? && !is_primary(primary)?)
    })?;
    cluster.wait_until_ok()?;
    for key in &keys {
        sweep_comes_by(r, key)?;
        assert!(ask(r, &format!("INV.RESERVE {key} o2 5")).starts_with("RESERVED 0 4 "));
        assert!(ask(c, &format!("INV.RESERVE {key} o3 5")).starts_with("!MOVED"));
    }
    alike(replica, primary)?;
    is_sound(primary)?;
    is_sound(replica)
}

#[test]
fn a_replica_takes_over_from_one_that_died() -> Result<()> {
    let cluster = RedisCluster::start(3, 1, &options(&[], None))?;
    let (primary, replica) = (&cluster.primaries()[0], &cluster.replicas()[0]);
    let keys = keys(&cluster)?;
    let r = &mut replica.connection()?;
    for key in &keys {
        expiring(&mut primary.connection()?, key, 2_000);
    }
    in_step(primary, replica)?;
    primary.server()?.kill()?;
    eventually("the replica to take over", || is_primary(replica))?;
    cluster.wait_until_ok()?;
    for key in &keys {
        sweep_comes_by(r, key)?;
    }
    // The dead one comes back empty, as a replica of what was its own.
    primary.start_again()?;
    eventually("the old primary to follow", || Ok(!is_primary(primary)?))?;
    alike(replica, primary)?;
    is_sound(replica)
}

/// Valkey 9 moves slots whole: a snapshot as an AOF would be rewritten, and then what happens meanwhile.
#[test]
fn slots_move_whole_where_the_server_can() -> Result<()> {
    let cluster = RedisCluster::start(2, 2, &options(&[], None))?;
    let [from, to] = cluster.primaries() else {
        unreachable!()
    };
    let (c, t) = (&mut from.connection()?, &mut to.connection()?);
    if !ask(c, "CLUSTER HELP").contains("MIGRATESLOTS") {
        let refused = ask(c, "CLUSTER MIGRATESLOTS");
        assert!(refused.contains("unknown subcommand"), "{refused}");
        return Ok(());
    }
    let keys = keys(&cluster)?;
    ask(c, &format!("INV.SET {} 10", keys[0]));
    for number in 0..2_000 {
        ask(c, &format!("INV.RELEASE {} r{number}", keys[0]));
    }
    ask(c, &format!("DEL {}", keys[1]));
    let secret = "1".repeat(64);
    assert!(ask(c, &format!("SESSION.START {} {secret} ada", keys[1])).starts_with("OK"));
    // The slots are on their way for as long as the source is kept from handing them over. Some holds fall due
    // before that is over, some after.
    assert_eq!(ask(c, "DEBUG SLOTMIGRATION PREVENT-PAUSE 1"), "OK");
    let (early, late) = keys[2..].split_at(10);
    for key in early {
        expiring(c, key, 1_000);
    }
    for key in late {
        expiring(c, key, 5_000);
    }
    // All but one: a primary without any slot would follow the one that has them.
    let slots = cluster.slots(0);
    let command = format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE {} {} NODE {}",
        slots.start,
        slots.end - 2,
        id(to)?
    );
    assert_eq!(ask(c, &command), "OK");
    // Whoever owns the keys decides, and the other waits to be told, even while the owner must not write.
    let due = now_ms(c)? + 1_000;
    eventually("the keys to be there", || {
        Ok(digest(t, &early[0]) == digest(c, &early[0]))
    })?;
    assert_eq!(ask(c, "CLIENT PAUSE 60000 WRITE"), "OK");
    sweeps_after(c, due)?;
    assert_eq!(ask(c, "CLIENT UNPAUSE"), "OK");
    for key in early {
        sweep_comes_by(c, key)?;
        assert!(ask(c, &format!("INV.RESERVE {key} o2 5")).starts_with("RESERVED 0 4 "));
    }
    assert_eq!(ask(c, "DEBUG SLOTMIGRATION PREVENT-PAUSE 0"), "OK");
    eventually("the slots to move", || {
        let jobs = ask(c, "CLUSTER GETSLOTMIGRATIONS");
        ensure!(!jobs.contains("failed"), "{jobs}");
        Ok(jobs.contains("success"))
    })?;
    eventually("the keys to be gone", || Ok(ask(c, "DBSIZE") == "0"))?;
    for key in early {
        assert_eq!(
            (stock(t, key, "seq"), stock(t, key, "held")),
            (4, 5),
            "{key}"
        );
    }
    for key in late {
        sweep_comes_by(t, key)?;
    }
    assert_eq!(stock(t, &keys[0], "seq"), 2_001);
    assert!(ask(t, &format!("INV.RESERVE {} r1999 1", keys[0])).starts_with("RELEASED"));
    assert!(ask(t, &format!("SESSION.TOUCH {} {secret}", keys[1])).starts_with("OK ada"));
    let replicas = cluster.replicas();
    let replica = replicas.get(1).context("no replica")?;
    alike(to, replica)?;
    alike(from, &replicas[0])?;
    for node in cluster.nodes() {
        is_sound(node)?;
    }
    Ok(())
}
