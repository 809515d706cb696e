//! Slots move under load, and nobody notices.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use holdfast_tests::cluster::SLOTS;
use holdfast_tests::redis::Redis;
use tokio::task::block_in_place;

use super::load::{Answered, percentile_99, while_they_come};
use super::{SKUS, STACK, assert_sound, neighbours, slot, whole};

/// The nodes that were added stay to the end.
static ADDED: Mutex<Vec<Redis>> = Mutex::new(Vec::new());

/// Nobody was refused anything.
pub fn all_served(answered: &[Answered], what: &str) -> Result<()> {
    let failed: Vec<_> = answered
        .iter()
        .filter(|answer| !answer.is_served())
        .collect();
    eprintln!(
        "{what}: {} requests, 99 of 100 within {:?}",
        answered.len(),
        percentile_99(answered.iter())
    );
    ensure!(
        failed.is_empty(),
        "{} of {} failed: {failed:#?}",
        failed.len(),
        answered.len()
    );
    ensure!(answered.len() > 100, "that was no load");
    Ok(())
}

fn baskets() -> Vec<Vec<&'static str>> {
    vec![
        vec![SKUS[0]],
        SKUS[1..4].to_vec(),
        SKUS.to_vec(),
        vec![SKUS[5], SKUS[8]],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_with_live_holds_move_to_and_fro_and_to_a_new_node_and_no_request_fails() -> Result<()>
{
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    let moving: Vec<(usize, &Redis)> = SKUS
        .iter()
        .map(|sku| {
            let slot = slot(cluster, sku)?;
            Ok((slot, cluster.owner(slot)?.as_ref()))
        })
        .collect::<Result<_>>()?;
    // The new node keeps one that nothing is in: a primary without slots becomes a replica.
    let is_unused = |slot: &usize| moving.iter().all(|(moving, _)| moving != slot);
    let unused = (0..SLOTS).find(is_unused).context("all are used")?;
    let act = async {
        let began = Instant::now();
        block_in_place(|| {
            let added = cluster.add_node()?;
            cluster.move_slots([unused], cluster.owner(unused)?, &added)?;
            for (slot, owner) in &moving {
                cluster.move_slots([*slot], owner, &added)?;
            }
            for (slot, owner) in &moving {
                cluster.move_slots([*slot], &added, owner)?;
            }
            ADDED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(added);
            anyhow::Ok(())
        })?;
        Ok(began.elapsed())
    };
    let (took, answered) = while_they_come(&shop, &baskets(), act).await?;
    eprintln!("{} slots there and back in {took:?}", moving.len());
    all_served(&answered, "moved key by key")?;
    assert_sound(&stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_valkey_moves_whole_fail_no_request() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = whole(&stack).await?;
    let cluster = stack.cluster()?;
    if !cluster.moves_slots_whole()? {
        eprintln!("skipped: this server does not know CLUSTER MIGRATESLOTS");
        return Ok(());
    }
    let slot = slot(cluster, SKUS[0])?;
    let (from, to) = (cluster.owner(slot)?, elsewhere(&stack)?);
    let act = async {
        block_in_place(|| {
            cluster.move_slots_whole(slot..slot + 1, from, &to)?;
            cluster.move_slots_whole(slot..slot + 1, &to, from)
        })
    };
    let ((), answered) = while_they_come(&shop, &baskets(), act).await?;
    all_served(&answered, "moved whole")?;
    assert_sound(&stack)
}

/// A primary that does not serve the first product.
fn elsewhere(stack: &holdfast_tests::stack::Stack) -> Result<std::sync::Arc<Redis>> {
    let cluster = stack.cluster()?;
    let (_, others) = neighbours(cluster, SKUS[0])?;
    Ok(cluster.owner(slot(cluster, others[0])?)?.clone())
}
