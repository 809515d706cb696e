//! The failover bench: a steady load, a fault, and what clients saw of it, 100 ms by 100 ms.
//!
//! Two proxies have the same load of every kind of request. Each is sent when it is due, whatever became of those before
//! it, and timed from then. A client repeats at the other proxy whatever is safe to repeat, and nothing else. At the end no
//! order may be missing that was answered 201, and `holdfast audit` must find every invariant to hold.
//!
//! A touch that went into the Redis that died, and not into its replica, is not counted as lost: a count of views decides
//! nothing, and that the session itself goes on is seen by its touches being served.

pub mod crowd;
pub mod fate;
pub mod kind;
mod load;
mod redis_servers;
pub mod report;
pub mod scenario;
pub mod site;
pub mod svg;
pub mod timeline;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection, MySqlConnection};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use uuid::Uuid;

use crate::data::Home;
use crate::faults::rest::audit;
use crate::wait;
use crowd::Crowd;
use load::Load;
use report::{Mark, Report};
use scenario::Scenario;
use site::{Shape, Site};
use timeline::is_served_since;

/// The load before the fault, and after everything is served again.
const CALM: Duration = Duration::from_secs(2);
/// How long service may be away before it counts as not coming back.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// A shop and its clients.
#[derive(Debug)]
pub struct Bench {
    /// The shop.
    pub site: Arc<Site>,
    /// The clients.
    pub crowd: Arc<Crowd>,
    acknowledged: PathBuf,
}

/// What became of the orders at the end.
#[derive(Debug)]
pub struct Ending {
    /// Orders that clients were told are sold.
    pub acknowledged: usize,
    /// Those of them that MySQL does not have as sold.
    pub lost: BTreeSet<String>,
    /// What `holdfast audit` says, with the error if it is not sound.
    pub audit: Result<String>,
}

impl Bench {
    /// Opens a shop of this shape and lets its clients in.
    pub async fn open(shape: Shape) -> Result<Bench> {
        let site = Arc::new(spawn_blocking(move || Site::open(shape)).await??);
        let acknowledged = Home::for_test("failover")?.path("acknowledged");
        let crowd = Crowd::enter(&site.stack.proxy, site.client()?, &acknowledged).await?;
        Ok(Bench {
            site,
            crowd: Arc::new(crowd),
            acknowledged,
        })
    }

    /// Does to the shop what the scenario says, under load, and waits until all is as it was.
    pub async fn run(&self, scenario: &'static Scenario) -> Result<Report> {
        let load = Load::new(Arc::clone(&self.crowd), self.site.targets());
        let loading = tokio::spawn(Arc::clone(&load).run());
        let marks = self.disturb(scenario, &load).await;
        load.end();
        loading.await??;
        let marks = marks.with_context(|| format!("in the scenario {}", scenario.name))?;
        let site = Arc::clone(&self.site);
        spawn_blocking(move || site.wait_until_whole()).await??;
        Ok(Report {
            scenario,
            marks,
            outcomes: load.outcomes(),
        })
    }

    /// What became of all orders since the shop was opened.
    pub async fn end(&self) -> Result<Ending> {
        let known = self.crowd.accounts.totals().sold;
        let sold = self.sold().await?;
        let site = Arc::clone(&self.site);
        let acknowledged = self.acknowledged.clone();
        let audited = spawn_blocking(move || audit(&site.stack, Some(&acknowledged)));
        Ok(Ending {
            acknowledged: known.len(),
            lost: known.difference(&sold).cloned().collect(),
            audit: audited.await?,
        })
    }

    /// The steps one after the other, until everything is served again.
    async fn disturb(&self, scenario: &'static Scenario, load: &Load) -> Result<Vec<Mark>> {
        let served = async |since| {
            wait::until_async("everything to be served", BACK_WITHIN, async || {
                Ok(is_served_since(&load.outcomes(), since).then_some(()))
            })
            .await
        };
        served(Duration::ZERO).await?;
        sleep(CALM).await;
        let fault = load.elapsed();
        let mut marks: Vec<Mark> = Vec::new();
        for step in scenario.steps {
            let begins = fault + Duration::from_millis(step.after_ms);
            sleep(begins.saturating_sub(load.elapsed())).await;
            let began = load.elapsed();
            let site = Arc::clone(&self.site);
            let act = step.act;
            spawn_blocking(move || act(&site))
                .await?
                .context(step.words)?;
            // What breaks is broken from the beginning of its step on; what mends has mended at its end.
            let at = if marks.is_empty() {
                began
            } else {
                load.elapsed()
            };
            marks.push(Mark {
                at,
                words: step.words,
            });
        }
        served(load.elapsed()).await?;
        sleep(CALM).await;
        Ok(marks)
    }

    async fn sold(&self) -> Result<BTreeSet<String>> {
        let mut mysql = MySqlConnection::connect(&self.site.stack.database_url()).await?;
        let sold = sqlx::query_scalar("SELECT id FROM orders WHERE status = 'CONFIRMED'");
        let sold: Vec<Uuid> = sold.fetch_all(&mut mysql).await?;
        Ok(sold.iter().map(Uuid::to_string).collect())
    }
}

impl Ending {
    /// Whether nothing is lost and every invariant holds.
    pub fn is_sound(&self) -> bool {
        self.lost.is_empty() && self.audit.is_ok()
    }
}
