//! With `redis.replica_acks` a hold counts only when a replica of its node has it.

use anyhow::{Result, ensure};
use holdfast_tests::shop::{GOOD_CARD, Reply, Shopper, lines};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::failing::replica_of;
use super::{PATIENCE, SKUS, STACK, assert_sound, counted, neighbours, slot, whole};

#[tokio::test(flavor = "multi_thread")]
async fn holds_wait_for_the_replica_of_their_node_and_for_no_other() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    let careful = stack.another_proxy_with(&[
        ("HOLDFAST_REDIS__REPLICA_ACKS", "1"),
        ("HOLDFAST_REDIS__REPLICA_ACKS_TIMEOUT_MS", "300"),
    ])?;
    let buyer = shop.guest().await?.at(&careful);
    // A node that is stopped could not be asked any more.
    let mut nodes = Vec::new();
    for sku in SKUS {
        let node = cluster.owner(slot(cluster, sku)?)?;
        nodes.push((sku, node, replica_of(cluster, node)?));
    }

    // Whatever was answered with a hold is on the replicas by then.
    for _ in 0..5 {
        let held = hold(&buyer, &SKUS).await?;
        ensure!(held.status == 201, "{held:?}");
        for (sku, _, replica) in &nodes {
            let count = counted(replica, sku, "held")?;
            ensure!(count == 1, "{sku} is not on the replica");
        }
        let path = format!("/v1/holds/{}", held.id()?);
        let given_back = buyer.call(Method::DELETE, &path, &json!({})).await?;
        ensure!(given_back.is_success(), "{given_back:?}");
    }

    let (here, elsewhere) = neighbours(cluster, SKUS[0])?;
    let (.., replica) = &nodes[0];
    replica.server()?.signal(Signal::SIGSTOP)?;
    let stopped = async {
        for skus in [vec![here[0]], vec![elsewhere[0], here[0]], SKUS.to_vec()] {
            let items: Vec<_> = skus.iter().map(|sku| (*sku, 1)).collect();
            for refused in [
                buyer.order(&items, GOOD_CARD, None).await?,
                hold(&buyer, &skus).await?,
            ] {
                let said = (
                    refused.status,
                    refused.problem(),
                    &refused.body["retry_safe"],
                );
                ensure!(
                    said == (503, "unavailable", &json!(true)),
                    "{skus:?}: {refused:?}"
                );
                for (sku, node, _) in &nodes {
                    let held = counted(node, sku, "held")?;
                    ensure!(held == 0, "{sku} is held after {skus:?} were refused");
                }
            }
            // The others all the while.
            for sku in &elsewhere {
                let bought = buyer.buy(sku, 1, GOOD_CARD).await?;
                ensure!(bought.status == 201, "{bought:?}");
            }
        }
        // The same without the wait: what was refused was refused for the replica.
        let careless = buyer.at(&stack.proxy).buy(here[0], 1, GOOD_CARD).await?;
        ensure!(careless.status == 201, "{careless:?}");
        Ok(())
    };
    let stopped = stopped.await;
    replica.server()?.signal(Signal::SIGCONT)?;
    stopped?;
    wait::until_async("the replica to be in step again", PATIENCE, || async {
        let bought = buyer.buy(here[0], 1, GOOD_CARD).await?;
        Ok((bought.status == 201).then_some(()))
    })
    .await?;
    drop(careful);
    whole(&stack).await?;
    assert_sound(&stack)
}

async fn hold(buyer: &Shopper, skus: &[&str]) -> Result<Reply> {
    let items: Vec<_> = skus.iter().map(|sku| (*sku, 1)).collect();
    let form = json!({ "items": lines(&items) });
    buyer.call(Method::POST, "/v1/holds", &form).await
}
