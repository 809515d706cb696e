//! A node that nobody can replace comes back with nothing.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::shop::GOOD_CARD;
use holdfast_tests::wait;
use tokio::task::block_in_place;

use super::failing::replica_of;
use super::load::{PEOPLE, percentile_99, while_these_come};
use super::{
    PATIENCE, PLENTY, SKUS, STACK, assert_sound, counted, neighbours, sells, slot, slot_of, whole,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_without_a_replica_that_comes_back_empty_is_filled_from_mysql_and_others_do_not_notice()
-> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    let (here, elsewhere) = neighbours(cluster, SKUS[0])?;
    let node = cluster.owner(slot(cluster, SKUS[0])?)?.clone();
    // Who has a session on this node is logged out by it.
    let mut people = Vec::new();
    while people.len() <= PEOPLE {
        let guest = shop.guest().await?;
        let slot = slot_of(cluster, &format!("session:{}", guest.session_id()))?;
        if cluster.owner(slot)?.port()? != node.port()? {
            people.push(guest);
        }
    }
    let buyer = people.swap_remove(0);
    let sold = buyer.buy(here[0], 3, GOOD_CARD).await?;
    ensure!(sold.status == 201, "{sold:?}");

    let replica = replica_of(cluster, &node)?;
    let mut baskets: Vec<_> = elsewhere.iter().map(|sku| vec![*sku]).collect();
    baskets.push(elsewhere.clone());
    let act = async {
        block_in_place(|| {
            replica.server()?.kill()?;
            let server = node.server()?;
            server.kill()?;
            fs::remove_dir_all(server.home().path("appendonlydir"))?;
            node.start_again()
        })?;
        ensure!(keys(&node)? == 0, "nothing was lost");
        for sku in &here {
            wait::until_async(format!("orders of {sku}"), PATIENCE, || async {
                let bought = buyer.buy(sku, 1, GOOD_CARD).await?;
                Ok((bought.status == 201).then_some(()))
            })
            .await?;
        }
        sells(&stack).await
    };
    let ((), answered) = while_these_come(people, &baskets, act).await?;
    let failed: Vec<_> = answered
        .iter()
        .filter(|answer| !answer.is_served())
        .collect();
    eprintln!(
        "restarted empty: {} requests of other nodes, 99 of 100 within {:?}",
        answered.len(),
        percentile_99(answered.iter())
    );
    ensure!(failed.is_empty(), "others were disturbed: {failed:#?}");
    ensure!(answered.len() > 100, "that was no load");
    // What was sold before is not for sale again.
    let on_hand = counted(&node, here[0], "on_hand")?;
    ensure!(on_hand == PLENTY - 4, "{on_hand} of {}", here[0]);
    replica.start_again()?;
    whole(&stack).await?;
    assert_sound(&stack)
}

fn keys(node: &holdfast_tests::redis::Redis) -> Result<i64> {
    Ok(redis::cmd("DBSIZE").query(&mut node.connection()?)?)
}
