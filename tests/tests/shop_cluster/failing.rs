//! Nodes die, hang, and give their place to their replicas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use holdfast_tests::cluster::{self, RedisCluster};
use holdfast_tests::redis::Redis;
use holdfast_tests::stack::Stack;
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use tokio::task::block_in_place;

use super::load::{Answered, percentile_99, while_they_come};
use super::{PATIENCE, SKUS, STACK, assert_sound, neighbours, sells, slot, whole};

/// What was seen while a node was away.
struct Failover {
    answered: Vec<Answered>,
    fault: Instant,
    here: Vec<&'static str>,
    elsewhere: Vec<&'static str>,
}

/// Lets `fault` happen to the node of the first product under load, until a replica has its place
/// and everything is sold again.
async fn fail(
    stack: &Stack,
    fault: impl AsyncFnOnce(&Redis, &Redis) -> Result<()>,
) -> Result<Failover> {
    let shop = whole(stack).await?;
    let cluster = stack.cluster()?;
    let (here, elsewhere) = neighbours(cluster, SKUS[0])?;
    let slot = slot(cluster, SKUS[0])?;
    let node = cluster.owner(slot)?.clone();
    let replica = replica_of(cluster, &node)?;
    let mut baskets = vec![here.clone(), elsewhere.clone()];
    baskets.extend(elsewhere.iter().map(|sku| vec![*sku]));
    baskets.push(vec![here[0], elsewhere[0]]);
    baskets.push(vec![here[0]]);
    let shopper = shop.guest().await?;
    let act = async {
        let began = Instant::now();
        fault(&node, &replica).await?;
        let is_promoted = || role(&replica).map(|role| (role == "master").then_some(()));
        block_in_place(|| wait::until("a replica to be promoted", PATIENCE, is_promoted))?;
        eprintln!("another owner after {:?}", began.elapsed());
        wait::until_async("orders of its products", PATIENCE, || async {
            let bought = shopper
                .buy(here[0], 1, holdfast_tests::shop::GOOD_CARD)
                .await?;
            Ok((bought.status == 201).then_some(()))
        })
        .await?;
        eprintln!("orders after {:?}", began.elapsed());
        sells(stack).await?;
        Ok(began)
    };
    let (fault, answered) = while_they_come(&shop, &baskets, act).await?;
    Ok(Failover {
        answered,
        fault,
        here,
        elsewhere,
    })
}

impl Failover {
    /// What concerns only nodes that live.
    fn others(&self) -> impl Iterator<Item = &Answered> {
        let others = self
            .answered
            .iter()
            .filter(|answer| !answer.skus.is_empty());
        others.filter(|answer| answer.skus.iter().all(|sku| self.elsewhere.contains(sku)))
    }

    fn assert_others_undisturbed(&self) -> Result<()> {
        let failed: Vec<_> = self.others().filter(|answer| !answer.is_served()).collect();
        eprintln!(
            "others: {} orders, 99 of 100 within {:?}, the longest {:?}",
            self.others().count(),
            percentile_99(self.others()),
            self.others().map(|answer| answer.took).max()
        );
        ensure!(
            failed.is_empty(),
            "orders of other nodes failed: {failed:#?}"
        );
        ensure!(self.others().count() > 5, "that was no load");
        Ok(())
    }

    /// The longest time without a served request that began before the fault's end.
    fn gap(&self, is_it: impl Fn(&Answered) -> bool) -> Duration {
        let mut served: Vec<Instant> = self
            .answered
            .iter()
            .filter(|answer| is_it(answer) && answer.is_served())
            .map(|answer| answer.asked + answer.took)
            .filter(|at| *at >= self.fault)
            .collect();
        served.push(self.fault);
        served.sort_unstable();
        let gaps = served.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    fn tell(&self, what: &str) {
        let of_node = |answer: &Answered| answer.skus.iter().any(|sku| self.here.contains(sku));
        let touches = |answer: &Answered| answer.skus.is_empty();
        eprintln!(
            "{what}: orders of the node without service for {:?}, touches of any session for {:?}",
            self.gap(of_node),
            self.gap(touches)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_killed_gives_its_place_to_its_replica_and_others_do_not_notice()
-> Result<()> {
    let stack = STACK.lock().await;
    let failover = fail(&stack, async |node: &Redis, _: &Redis| {
        node.server()?.kill()
    })
    .await?;
    failover.tell("killed");
    failover.assert_others_undisturbed()?;
    start_all(&stack)?;
    whole(&stack).await?;
    assert_sound(&stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hangs_is_found_and_others_do_not_wait_for_it() -> Result<()> {
    let stack = STACK.lock().await;
    let failover = fail(&stack, async |node: &Redis, _: &Redis| {
        node.server()?.signal(Signal::SIGSTOP)
    })
    .await;
    for node in stack.cluster()?.nodes() {
        node.server()?.signal(Signal::SIGCONT)?;
    }
    let failover = failover?;
    failover.tell("stopped");
    failover.assert_others_undisturbed()?;
    whole(&stack).await?;
    assert_sound(&stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_hand_disturbs_nobody_elsewhere() -> Result<()> {
    let stack = STACK.lock().await;
    let failover = fail(&stack, async |_: &Redis, replica: &Redis| {
        let mut failover = redis::cmd("CLUSTER");
        let () = failover.arg("FAILOVER").query(&mut replica.connection()?)?;
        Ok(())
    })
    .await?;
    failover.tell("by hand");
    failover.assert_others_undisturbed()?;
    whole(&stack).await?;
    assert_sound(&stack)
}

pub fn replica_of(cluster: &RedisCluster, node: &Redis) -> Result<Arc<Redis>> {
    let id = cluster::id(node)?;
    for candidate in cluster.nodes() {
        let mut nodes = redis::cmd("CLUSTER");
        let nodes: String = nodes.arg("NODES").query(&mut candidate.connection()?)?;
        let itself = nodes.lines().find(|line| line.contains("myself,slave"));
        if itself.is_some_and(|line| line.contains(&id)) {
            return Ok(candidate.clone());
        }
    }
    bail!("no replica of {id}")
}

pub fn role(node: &Redis) -> Result<String> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut node.connection()?)?;
    let role = role.into_iter().next().context("no role")?;
    Ok(redis::from_redis_value(role)?)
}

pub fn start_all(stack: &Stack) -> Result<()> {
    for node in stack.cluster()?.nodes() {
        node.start_again()?;
    }
    Ok(())
}
