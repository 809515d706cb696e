//! The shop of a fault run, and what is done to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::task::spawn_blocking;

use super::accounts::Accounts;
use super::buyers::Crowd;
use super::rest::{settled, unsettled};
use super::schedule::{Fault, Target};
use super::table::{Cost, line};
use super::{HOT, PROXIES, Plan};
use crate::data::Home;
use crate::probe;
use crate::proxy::Proxy;
use crate::stack::{Stack, StackOptions, catalogue_of};
use crate::wait;

/// How long a fault may take to be over, on a machine that does much else.
const RIGHT_AGAIN_WITHIN: Duration = Duration::from_secs(90);

/// A shop with several proxies under load.
pub(super) struct Faults {
    pub(super) stack: Stack,
    others: Vec<Proxy>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) began: Instant,
}

/// A shop with the sheet's goods and the hot ones, and nobody in it yet.
pub(super) async fn open(plan: &Plan, home: &Home) -> Result<Faults> {
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
    pub(super) async fn inflict(
        self: &Arc<Self>,
        schedule: &[Fault],
        costs: &mut Vec<Cost>,
    ) -> Result<()> {
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
                    eprint!("{}", costs.last().map(line).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// Kills a server, starts it again after its downtime, and waits until all is right.
    async fn one(self: Arc<Self>, fault: Fault) -> Result<Cost> {
        let orders = unsettled(&self.stack).await.ok();
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
        let settled = async {
            let orders = orders.as_ref()?;
            Some(settled(&self.stack, orders, killed, RIGHT_AGAIN_WITHIN).await)
        };
        let (restart, settled) = futures::join!(restart, settled);
        let (back, ready) =
            restart.with_context(|| format!("after the kill of {}", fault.target))?;
        Ok(Cost {
            fault,
            at: killed - self.began,
            requests,
            orders: orders.as_ref().map(BTreeSet::len),
            back,
            ready,
            settled: settled.transpose()?,
            sold: self.sold(killed),
        })
    }

    /// How long after the kill the first request that was sent after it was answered 201.
    pub(super) fn sold(&self, killed: Instant) -> Option<Duration> {
        let sale = self.crowd.accounts.first_sale_after(killed)?;
        Some(sale - killed)
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
