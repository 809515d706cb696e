//! Faults under load: servers of a running shop are killed at random moments, and at the end the books must be right.
//!
//! A schedule is a pure function of its seed; what the load does between two kills is not, so a seed brings back the
//! same faults at about the same moments, and not the same interleaving.
//!
//! `kill -9` of a server on a machine that goes on loses nothing that was written to a file, flushed or not: Redis with
//! `appendfsync everysec` and Kafka, which never flushes by itself, keep what they acknowledged. Only a crash of the
//! whole machine would tell them from a MariaDB that flushes at each commit, and no test can make one.

pub mod accounts;
mod buyers;
mod inflict;
pub mod random;
pub mod replay;
pub mod rest;
pub mod schedule;
pub mod table;
pub mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::books::OrderRow;
use crate::data::Home;
use accounts::Totals;
use random::Random;
use replay::Replay;
use rest::{AT_REST_WITHIN, audit};
use schedule::schedule;
use table::{Cost, table};
use verdict::Known;

/// How many proxies the shop has.
const PROXIES: usize = 2;
/// What the rush is after.
const HOT: [&str; 2] = ["HOT-1", "HOT-2"];
/// Units that come with each delivery of something hot.
const DELIVERY: i64 = 5;
const DELIVERED_EVERY: Duration = Duration::from_millis(500);
/// What is to be done to a shop.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of the schedule and of what buyers wish.
    pub seed: u64,
    /// How many kills.
    pub faults: usize,
    /// The sheet that is replayed.
    pub sheet: PathBuf,
    /// How many buyers are after the hot things at once.
    pub buyers: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What each fault cost.
    pub costs: Vec<Cost>,
    /// What the buyers of the rush know.
    pub rush: Totals,
    /// Orders of the replay that were acknowledged.
    pub replayed: usize,
    /// How often the whole sheet was replayed.
    pub replays: usize,
    /// Orders in MySQL at the end, by status and reason.
    pub orders: BTreeMap<String, usize>,
    /// What `holdfast audit` said.
    pub audited: String,
}

/// Starts a shop, kills its servers one after the other under load, and holds the books against what clients know.
///
/// # Errors
/// With the seed and the table of faults, when anything is not right.
pub async fn run(plan: &Plan) -> Result<Report> {
    let mut costs = Vec::new();
    let outcome = run_with(plan, &mut costs).await;
    outcome.with_context(|| {
        format!(
            "HOLDFAST_FAULT_SEED={} HOLDFAST_FAULTS={} repeats these faults:\n{}",
            plan.seed,
            plan.faults,
            table(&costs)
        )
    })
}

async fn run_with(plan: &Plan, costs: &mut Vec<Cost>) -> Result<Report> {
    let home = Home::for_test("faults")?;
    let faults = Arc::new(inflict::open(plan, &home).await?);
    let crowd = Arc::clone(&faults.crowd);
    let mut random = Random::new(plan.seed);
    let buyers: Vec<JoinHandle<Result<()>>> = (0..plan.buyers)
        .map(|_| tokio::spawn(Arc::clone(&crowd).buy(random.fork())))
        .collect();
    let deliveries = tokio::spawn(Arc::clone(&crowd).restock(DELIVERY, DELIVERED_EVERY));
    let replay = Replay {
        config: faults.stack.proxy.config_path(),
        sheet: plan.sheet.clone(),
        urls: crowd.urls.clone(),
        orders: home.path("replayed.csv"),
        log: home.path("replay.log"),
    };
    let orders = replay.orders.clone();
    let is_over = Arc::clone(&crowd);
    let replay = spawn_blocking(move || replay.repeat(&is_over.is_over));

    let done = faults
        .inflict(&schedule(plan.seed, plan.faults, PROXIES), costs)
        .await;
    crowd.is_over.store(true, Ordering::Relaxed);
    for cost in costs.iter_mut() {
        cost.sold = faults.sold(faults.began + cost.at);
    }
    done?;
    for buyer in join_all(buyers).await {
        buyer??;
    }
    deliveries.await??;
    let replays = replay.await??;

    let rush = crowd.accounts.totals();
    ensure!(rush.odd.is_empty(), "odd answers: {:#?}", rush.odd);
    let replayed = replay::acknowledged(&orders)?;
    ensure!(!replayed.is_empty(), "the replay was told of no order");
    crowd.accounts.acknowledge(&replayed)?;
    let mut known = Known {
        sold: rush.sold.clone(),
        cancelled: rush.cancelled.clone(),
    };
    known.sold.extend(replayed.iter().cloned());
    let verdict = verdict::settle(&faults.stack, &known, AT_REST_WITHIN).await?;
    let auditing = Arc::clone(&faults);
    let acknowledged = crowd.accounts.acknowledged().to_path_buf();
    let audited = spawn_blocking(move || audit(&auditing.stack, Some(&acknowledged))).await??;
    Ok(Report {
        costs: costs.clone(),
        replayed: replayed.len(),
        replays,
        orders: by_end(verdict.orders.values()),
        audited,
        rush,
    })
}

fn by_end<'a>(orders: impl Iterator<Item = &'a OrderRow>) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for order in orders {
        let reason = order.reason.as_deref().unwrap_or("");
        let end = format!("{} {reason}", order.status).trim_end().to_owned();
        *ends.entry(end).or_default() += 1;
    }
    ends
}

impl Report {
    /// The table and the totals.
    pub fn text(&self) -> String {
        let Totals {
            attempts,
            sold,
            cancelled,
            declined,
            sold_out,
            undone,
            hung_up,
            unclear,
            odd: _,
        } = &self.rush;
        format!(
            "{}\nrush: {attempts} requests; {} sold, {} cancelled, {declined} declined, {sold_out} sold out, \
             {undone} undone, {hung_up} hung up, {} unclear\nreplay: {} orders in {} whole replays and a part\n\
             MySQL: {:?}\n{}",
            table(&self.costs),
            sold.len(),
            cancelled.len(),
            unclear.len(),
            self.replayed,
            self.replays,
            self.orders,
            self.audited,
        )
    }
}
