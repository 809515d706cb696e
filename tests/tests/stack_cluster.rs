//! The launcher's cluster: slots move, nodes are added, and replicas take over.

mod module_support;

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::cluster;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::shape::{RedisServers, Shape};
use holdfast_tests::wait;
use module_support::ask;

/// What the node says, as whoever comes now is told it.
fn says(node: &Redis, command: &str) -> Result<String> {
    Ok(ask(&mut node.connection()?, command))
}

#[test]
fn slots_move_nodes_are_added_and_replicas_take_over() -> Result<()> {
    let RedisServers::Cluster(cluster) =
        RedisServers::start(Shape::Cluster, &RedisOptions::default())?
    else {
        unreachable!()
    };
    let first = &cluster.primaries()[0];
    let slot = says(first, "CLUSTER KEYSLOT inv:{a}")?.parse()?;
    let from = cluster.owner(slot)?;
    assert!(says(from, "INV.SET inv:{a} 9")?.starts_with("OK 9 "));
    for number in 0..30 {
        says(from, &format!("INV.SET inv:{{a}}:{number} 9"))?;
    }

    let added = cluster.add_node()?;
    // Two, since a primary that gives its last slot away becomes a replica of who gets it.
    cluster.move_slots([slot, slot + 1], from, &added)?;
    assert!(says(&added, "INV.RESERVE inv:{a} o1 2 PX 60000")?.starts_with("RESERVED 7 "));
    assert!(says(from, "INV.GET inv:{a}")?.starts_with("!MOVED "));
    cluster.move_slots([slot], &added, from)?;
    assert!(says(from, "INV.RESERVE inv:{a} o2 2 PX 60000")?.starts_with("RESERVED 5 "));

    if cluster.moves_slots_whole()? {
        cluster.move_slots_whole(slot..slot + 1, from, &added)?;
        assert!(says(&added, "INV.RESERVE inv:{a} o3 2 PX 60000")?.starts_with("RESERVED 3 "));
        cluster.move_slots_whole(slot..slot + 1, &added, from)?;
    }

    from.server()?.kill()?;
    let now = wait::until("a replica to take over", Duration::from_secs(30), || {
        Ok(cluster.owner(slot).ok())
    })?;
    assert!(says(now, "INV.GET inv:{a}")?.starts_with("on_hand 9 "));
    from.start_again()?;
    cluster.wait_until_well()?;
    assert!(says(from, "ROLE")?.starts_with("slave"));
    assert_ne!(cluster::id(from)?, cluster::id(now)?);
    Ok(())
}
