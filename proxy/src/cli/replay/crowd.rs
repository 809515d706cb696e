//! All shoppers at once: a bounded number of invoices on their way, started in the file's order.

use anyhow::Context;
use futures::stream::{self, StreamExt};

use super::progress::Progress;
use super::shopper::{Settled, Shopper};
use crate::retail::account::{Account, Outcome};
use crate::retail::invoice::Invoice;

/// How invoices ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    /// Orders confirmed.
    pub sold: u64,
    /// Cancellations whose every line came back.
    pub returned: u64,
    /// Invoices that the shop refused, or a line of a cancellation.
    pub refused: u64,
    /// Invoices of which nobody knows what became.
    pub failed: u64,
}

/// Plays all sales, then all returns, `at_once` invoices at a time. Returns come last, because
/// goods cannot come back before they have gone out.
pub(super) async fn serve(
    shopper: &Shopper,
    sales: &[Invoice],
    returns: &[Invoice],
    at_once: usize,
    account: &mut Account,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut progress = Progress::start(sales.len() + returns.len());
    let mut bought = stream::iter(sales)
        .map(|invoice| shopper.buy(invoice))
        .buffer_unordered(at_once);
    while let Some(settled) = bought.next().await {
        let settled = settled.context("cannot write an order to the file of --orders")?;
        counts.add(&settled);
        note(settled, account);
        progress.step(&counts);
    }
    let mut returned = stream::iter(returns)
        .map(|invoice| shopper.bring_back(invoice))
        .buffer_unordered(at_once);
    while let Some(settled) = returned.next().await {
        counts.add(&settled);
        note(settled, account);
        progress.step(&counts);
    }
    progress.finish(&counts);
    Ok(counts)
}

fn note(settled: Vec<Settled>, account: &mut Account) {
    for (row, fate) in settled {
        account.settle(row, fate);
    }
}

impl Counts {
    /// Counts an invoice by the worst that became of its lines.
    fn add(&mut self, settled: &[Settled]) {
        let any = |outcome: Outcome| settled.iter().any(|(_, fate)| fate.outcome == outcome);
        if any(Outcome::Failed) {
            self.failed += 1;
        } else if any(Outcome::Refused) {
            self.refused += 1;
        } else if any(Outcome::Returned) {
            self.returned += 1;
        } else {
            self.sold += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retail::account::Fate;

    #[test]
    fn an_invoice_counts_by_the_worst_of_its_lines() {
        let settled = |outcomes: &[Outcome]| -> Vec<Settled> {
            let fate = |outcome: &Outcome| Fate {
                outcome: *outcome,
                ..Fate::skipped("")
            };
            outcomes.iter().map(|outcome| (0, fate(outcome))).collect()
        };
        let mut counts = Counts::default();
        counts.add(&settled(&[Outcome::Sold, Outcome::Sold]));
        counts.add(&settled(&[Outcome::Returned, Outcome::Refused]));
        counts.add(&settled(&[Outcome::Refused, Outcome::Failed]));
        counts.add(&settled(&[Outcome::Returned]));
        assert_eq!(
            counts,
            Counts {
                sold: 1,
                returned: 1,
                refused: 1,
                failed: 1
            }
        );
    }
}
