//! The report at the end of a replay.

use std::time::Duration;

use serde_json::{Value, json};

use super::crowd::Counts;
use crate::retail::account::Account;
use crate::retail::goods::Malformed;
use crate::retail::report::{grouped, summary};

/// All there is to say of a replay.
pub(super) struct Report<'a> {
    /// What its idempotency keys begin with.
    pub run_id: String,
    /// The file that was replayed.
    pub file: String,
    /// The shop it was played on.
    pub url: String,
    /// From the first session to the last answer.
    pub elapsed: Duration,
    /// Of the amounts; empty when nothing was sold.
    pub currency: &'a str,
    /// By invoice.
    pub counts: Counts,
    /// By row.
    pub account: &'a Account,
    /// The rows that could not be read.
    pub malformed: &'a [Malformed],
}

impl Report<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let Counts {
            sold,
            returned,
            refused,
            failed,
        } = self.counts;
        let invoices = sold + returned + refused + failed;
        let seconds = self.elapsed.as_secs_f64();
        let rate = invoices as f64 / seconds.max(0.001);
        format!(
            "replay {} of {} at {}\n{}  {} invoices in {seconds:.1} s, {rate:.0} a second: \
             {} sold, {} returned, {} refused, {} failed\n",
            self.run_id,
            self.file,
            self.url,
            summary(self.account, self.currency),
            grouped(invoices),
            grouped(sold),
            grouped(returned),
            grouped(refused),
            grouped(failed),
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let malformed = self
            .malformed
            .iter()
            .map(|(line, why)| json!({ "line": line, "why": why }));
        json!({
            "run_id": self.run_id,
            "file": self.file,
            "url": self.url,
            "elapsed_ms": self.elapsed.as_millis() as u64,
            "currency": self.currency,
            "rows": self.account.rows(),
            "outcomes": self.account.tallies(),
            "not_accounted_for": self.account.gaps(),
            "invoices": self.counts,
            "malformed": malformed.collect::<Value>(),
        })
    }
}
