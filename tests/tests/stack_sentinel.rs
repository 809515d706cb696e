//! The launcher's Redis under Sentinel: a primary that is killed or cut off is replaced, and comes back as a
//! replica; one that was cut off takes no writes for long.

mod module_support;

use std::sync::Arc;

use anyhow::Result;
use holdfast_tests::redis::{Redis, RedisOptions};
use holdfast_tests::sentinel::RedisUnderSentinel;
use module_support::{ask, eventually};

/// What the server itself says to the operator, past any cut.
fn says(server: &Redis, command: &str) -> Result<String> {
    Ok(ask(&mut server.connection()?, command))
}

#[test]
fn a_primary_that_goes_away_is_replaced_and_comes_back_as_a_replica() -> Result<()> {
    let servers = RedisUnderSentinel::start(&RedisOptions::default())?;
    let first = servers.primary()?;
    assert!(Arc::ptr_eq(first, &servers.servers()[0]));
    assert_eq!(says(first, "INV.SET inv:{a} 9")?, "OK 9 1 0 0");
    for replica in servers.replicas()? {
        let refused = says(replica, "INV.SET inv:{a} 5")?;
        assert!(refused.starts_with("!READONLY "), "{refused}");
    }

    let killed = servers.primary()?;
    killed.server()?.kill()?;
    servers.wait_for_another_primary(killed)?;
    let kept = says(servers.primary()?, "INV.GET inv:{a}")?;
    assert!(kept.starts_with("on_hand 9 "), "{kept}");
    killed.start_again()?;
    servers.wait_until_well()?;
    assert!(says(killed, "ROLE")?.starts_with("slave "));

    let cut = servers.primary()?;
    servers.cut(cut)?;
    servers.wait_for_another_primary(cut)?;
    assert!(says(cut, "ROLE")?.starts_with("master "), "nobody told it");
    eventually("the one that was cut off to take no more writes", || {
        Ok(says(cut, "INV.SET inv:{a} 5")?.starts_with("!NOREPLICAS "))
    })?;
    servers.mend(cut)?;
    servers.wait_until_well()?;
    assert!(says(cut, "ROLE")?.starts_with("slave "));

    let before = servers.primary()?;
    servers.fail_over()?;
    eventually("the former primary to follow", || {
        Ok(says(before, "ROLE")?.starts_with("slave "))
    })
}
