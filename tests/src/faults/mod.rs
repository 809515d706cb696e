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
pub mod random;
pub mod replay;
pub mod schedule;
pub mod table;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use sqlx::{Connection, MySqlConnection};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::books::OrderRow;
use crate::data::Home;
use crate::probe;
use crate::proxy::Proxy;
use crate::stack::{Stack, StackOptions, catalogue_of};
use crate::wait;
use accounts::{Accounts, Totals};
use buyers::Crowd;
use random::Random;
use replay::Replay;
use schedule::{Fault, Target, schedule};
use table::{Cost, table};
use verdict::Known;

/// How many proxies the shop has.
const PROXIES: usize = 2;
/// What the rush is after.
const HOT: [&str; 2] = ["HOT-1", "HOT-2"];
/// Units that come with each delivery of something hot.
const DELIVERY: i64 = 40;
const DELIVERED_EVERY: Duration = Duration::from_millis(500);
/// How long a fault may take to be over, on a machine that does much else.
const RIGHT_AGAIN_WITHIN: Duration = Duration::from_secs(90);
/// How long the last orders and events may take when all servers are up.
const AT_REST_WITHIN: Duration = Duration::from_secs(120);

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

/// A shop with several proxies under load.
struct Faults {
    stack: Stack,
    others: Vec<Proxy>,
    crowd: Arc<Crowd>,
    began: Instant,
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
    let faults = Arc::new(open(plan, &home).await?);
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
        let killed = faults.began + cost.at;
        cost.sold = crowd
            .accounts
            .first_sale_after(killed)
            .map(|sale| sale - killed);
    }
    done?;
    for buyer in join_all(buyers).await {
        buyer??;
    }
    deliveries.await??;
    let replays = replay.await??;

    let rush = crowd.accounts.totals();
    ensure!(rush.odd.is_empty(), "odd answers: {:#?}", rush.odd);
    let replayed = replay::acknowledged(&orders);
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

/// `holdfast audit` of a shop at rest: what it said, or the error with what it found. The orders in the file must be
/// sold.
pub fn audit(stack: &Stack, acknowledged: Option<&Path>) -> Result<String> {
    let wait = AT_REST_WITHIN.as_secs().to_string();
    let mut arguments = vec!["audit", "--at-rest", "--wait", &wait];
    if let Some(file) = acknowledged {
        arguments.extend(["--acknowledged", file.to_str().context("a path in UTF-8")?]);
    }
    stack.proxy.run(&arguments)
}

/// A shop with the sheet's goods and the hot ones, and nobody in it yet.
async fn open(plan: &Plan, home: &Home) -> Result<Faults> {
    let (sheet, catalogue) = (plan.sheet.clone(), catalogue_of(&HOT)?);
    let started = spawn_blocking(move || {
        let stack = Stack::start(StackOptions {
            catalogue: Some(catalogue),
            ..StackOptions::default()
        })?;
        let sheet = sheet.to_str().context("a path in UTF-8")?;
        // Enough for many replays: scarce are the hot things.
        stack
            .proxy
            .run(&["import", sheet, "--stock-percent", "50000"])?;
        let others = (1..PROXIES).map(|_| stack.another_proxy());
        let others = others.collect::<Result<Vec<_>>>()?;
        Ok::<_, anyhow::Error>((stack, others))
    });
    let (stack, others) = started.await??;
    let proxies = std::iter::once(&stack.proxy).chain(&others);
    let crowd = Crowd {
        urls: proxies.map(Proxy::url).collect(),
        operator_token: stack.proxy.operator_token().to_owned(),
        hot: HOT.map(str::to_owned).to_vec(),
        accounts: Accounts::open(&home.path("acknowledged.csv"))?,
        in_flight: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    Ok(Faults {
        stack,
        others,
        crowd: Arc::new(crowd),
        began: Instant::now(),
    })
}

impl Faults {
    /// One fault after the other, each awaited until all is right again unless the next overlaps it.
    async fn inflict(self: &Arc<Self>, schedule: &[Fault], costs: &mut Vec<Cost>) -> Result<()> {
        let mut open = Vec::new();
        for fault in schedule {
            // The moment is part of the schedule: nothing is awaited here.
            tokio::time::sleep(fault.pause).await;
            let faults = Arc::clone(self);
            let fault = *fault;
            open.push(tokio::spawn(async move { faults.one(fault).await }));
            if !fault.is_overlapped {
                for cost in try_join_all(open.drain(..)).await? {
                    costs.push(cost?);
                }
            }
        }
        Ok(())
    }

    /// Kills a server, starts it again after its downtime, and waits until all is right.
    async fn one(self: Arc<Self>, fault: Fault) -> Result<Cost> {
        let orders = self.unsettled().await.ok();
        let requests = self.crowd.in_flight.load(Ordering::Relaxed);
        let killed = Instant::now();
        let faults = Arc::clone(&self);
        spawn_blocking(move || faults.kill(fault.target)).await??;
        let faults = Arc::clone(&self);
        let restart = async {
            tokio::time::sleep(fault.downtime).await;
            spawn_blocking(move || faults.start(fault.target)).await??;
            let back = killed.elapsed();
            anyhow::Ok((back, self.ready(killed).await?))
        };
        let (restart, settled) = futures::join!(restart, self.settled(&orders, killed));
        let (back, ready) =
            restart.with_context(|| format!("after the kill of {}", fault.target))?;
        Ok(Cost {
            fault,
            at: killed - self.began,
            requests,
            orders: orders.as_ref().map(Vec::len),
            back,
            ready,
            settled: settled?,
            sold: None,
        })
    }

    fn kill(&self, target: Target) -> Result<()> {
        match target {
            Target::Proxy(place) => self.proxy(place)?.server().kill(),
            Target::Redis => self.stack.redis.server()?.kill(),
            Target::Mysql => self.stack.mysql.server()?.kill(),
            Target::Kafka => self.stack.kafka.server()?.kill(),
        }
    }

    fn start(&self, target: Target) -> Result<()> {
        match target {
            Target::Proxy(place) => self.proxy(place)?.start(),
            Target::Redis => self.stack.redis.start_again(),
            Target::Mysql => self.stack.mysql.start_again(),
            Target::Kafka => self.stack.kafka.start(),
        }
    }

    fn proxy(&self, place: usize) -> Result<&Proxy> {
        self.proxies().nth(place).context("no such proxy")
    }

    fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        std::iter::once(&self.stack.proxy).chain(&self.others)
    }

    /// The orders that are not settled.
    async fn unsettled(&self) -> Result<Vec<Vec<u8>>> {
        let mut mysql = MySqlConnection::connect(&self.stack.database_url()).await?;
        let ids = sqlx::query_scalar("SELECT id FROM orders WHERE settled = 0");
        Ok(ids.fetch_all(&mut mysql).await?)
    }

    /// How long after the kill none of these orders was unsettled any more.
    async fn settled(
        &self,
        orders: &Option<Vec<Vec<u8>>>,
        killed: Instant,
    ) -> Result<Option<Duration>> {
        let Some(orders) = orders else {
            return Ok(None);
        };
        let orders: BTreeSet<&Vec<u8>> = orders.iter().collect();
        let settled = wait::until_async(
            "the orders in flight to be settled",
            RIGHT_AGAIN_WITHIN,
            || async {
                // A database that is away has settled nothing yet.
                let left = self.unsettled().await.ok();
                let left = left.map(|left| left.iter().filter(|id| orders.contains(id)).count());
                Ok((left == Some(0)).then(|| killed.elapsed()))
            },
        );
        Ok(Some(settled.await?))
    }

    /// How long after the kill every proxy was ready.
    async fn ready(&self, killed: Instant) -> Result<Duration> {
        wait::until_async("every proxy to be ready", RIGHT_AGAIN_WITHIN, || async {
            let ports: Vec<u16> = self.proxies().map(Proxy::admin_port).collect();
            let ready = spawn_blocking(move || {
                let mut statuses = ports
                    .iter()
                    .map(|port| probe::http_status(*port, "/readyz"));
                statuses.all(|status| status == Some(200))
            });
            Ok(ready.await?.then(|| killed.elapsed()))
        })
        .await
    }
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
