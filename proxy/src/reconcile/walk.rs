//! Takes SKUs a page at a time, and looks at those that seem wrong until they are right, or it is
//! clear what is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::decision::Decision;
use super::look::{Depth, Sighting, look};
use super::mending::mend;
use super::report::{Finding, Report};
use super::{Error, Servers};
use crate::catalogue::Sku;

/// SKUs to a page: what is kept in memory at once.
pub const PAGE: u32 = 500;
/// A SKU that changes all the while is looked at this often before it is left for the next time.
const LOOKS: u32 = 20;
/// The pause before another look; a SKU in a rush has quiet moments.
const PAUSE: Duration = Duration::from_millis(5);

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// Whether what is wrong is put right, or only told.
    pub fix: bool,
    /// A PREPARED hold without an order in flight is nobody's after so long.
    pub orphan_age_ms: u64,
    /// Whether Redis may have forgotten the last that it was told, so that of prepared holds even the
    /// newest may be sold or called off already. Without such a reason they are what a rush is full
    /// of, and not looked at.
    pub is_in_doubt: bool,
}

/// A walk through every product, in the order of SKUs.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    after: Option<Sku>,
}

impl Walk {
    /// Reconciles the next page; `None` after the last one.
    ///
    /// # Errors
    /// When a server is away. The same page is then the next one again.
    pub async fn next(&mut self, servers: &Servers, task: Task) -> Result<Option<Report>, Error> {
        self.next_of(servers, task, |_| true).await
    }

    /// The same of those SKUs only that `concerns`.
    ///
    /// # Errors
    /// As [`Walk::next`].
    pub async fn next_of(
        &mut self,
        servers: &Servers,
        task: Task,
        concerns: impl Fn(&Sku) -> bool,
    ) -> Result<Option<Report>, Error> {
        let page = async {
            let skus = servers.store.sku_page(self.after.as_ref(), PAGE).await?;
            let Some(last) = skus.last().cloned() else {
                return Ok(None);
            };
            let concerned = skus.into_iter().filter(&concerns);
            let (away, skus): (Vec<Sku>, Vec<Sku>) =
                concerned.partition(|sku| servers.gateway.is_away_for(sku));
            let mut report = reconcile(servers, skus, task).await?;
            report.away = away.len() as u64;
            Ok::<_, Error>(Some((last, report)))
        };
        Ok(servers.store.answered(page).await?.map(|(last, report)| {
            self.after = Some(last);
            report
        }))
    }
}

/// Compares `skus`, at most a page of them, and passes over what is no product.
///
/// # Errors
/// When a server is away.
pub async fn reconcile(servers: &Servers, skus: Vec<Sku>, task: Task) -> Result<Report, Error> {
    let mut page = Page::default();
    let mut left = page.glance(servers, &skus, task).await?;
    for _ in 0..LOOKS {
        if left.is_empty() {
            break;
        }
        left = page.look_closely(servers, &left, task).await?;
    }
    for sku in left {
        if !page.findings.contains_key(&sku) {
            page.report.moving.push(sku);
        }
    }
    page.report.findings = page.findings.into_values().collect();
    Ok(page.report)
}

#[derive(Default)]
struct Page {
    report: Report,
    findings: BTreeMap<Sku, Finding>,
}

impl Page {
    /// Those of `skus` that are not right at first sight. A hold that Redis has lost and recovery
    /// has yet to sell again does not show at a glance; when it is sold, all is well or it shows.
    async fn glance(
        &mut self,
        servers: &Servers,
        skus: &[Sku],
        task: Task,
    ) -> Result<Vec<Sku>, Error> {
        let skus: Vec<&Sku> = skus.iter().collect();
        let seen = look(servers, &skus, Depth::Glance, task).await?;
        // The first glance is at all of them.
        self.report.compared = self.report.compared.max(seen.len() as u64);
        let mut suspects = Vec::new();
        for sighting in seen {
            if sighting.is_right() {
                self.is_done(&sighting.sku);
            } else {
                suspects.push(sighting.sku);
            }
        }
        suspects.sort_unstable();
        Ok(suspects)
    }

    /// Looks at `skus`, does what is to be done, and answers those that need another look. What was
    /// put right is only glanced at, as everything was at first: a close look costs as much as there
    /// are orders in flight.
    async fn look_closely(
        &mut self,
        servers: &Servers,
        skus: &[Sku],
        task: Task,
    ) -> Result<Vec<Sku>, Error> {
        let skus: Vec<&Sku> = skus.iter().collect();
        let seen = look(servers, &skus, Depth::Close, task).await?;
        let (mut left, mut wrong) = (Vec::new(), Vec::new());
        for sighting in seen {
            match self.judge(&sighting) {
                Seen::Done => {}
                Seen::Wrong if task.fix => wrong.push(sighting),
                Seen::Wrong => {}
                Seen::Unclear => left.push(sighting.sku),
            }
        }
        mend(servers, &wrong).await?;
        let mended: Vec<Sku> = wrong.into_iter().map(|sighting| sighting.sku).collect();
        if !mended.is_empty() {
            left.extend(self.glance(servers, &mended, task).await?);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(left)
    }

    fn judge(&mut self, sighting: &Sighting) -> Seen {
        let Sighting { sku, verdict, .. } = sighting;
        let finding = Finding::of(sku, sighting.on_hand, &sighting.truth, verdict);
        match (finding, &verdict.decision) {
            (Some(finding), _) => {
                self.findings.entry(sku.clone()).or_insert(finding);
                return Seen::Wrong;
            }
            (None, Decision::Again) => return Seen::Unclear,
            (None, _) => {}
        }
        self.is_done(sku);
        Seen::Done
    }

    fn is_done(&mut self, sku: &Sku) {
        if let Some(finding) = self.findings.get_mut(sku) {
            finding.fixed = true;
        }
    }
}

enum Seen {
    /// Nothing is wrong with it any more.
    Done,
    Wrong,
    /// It changed meanwhile.
    Unclear,
}
