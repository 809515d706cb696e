//! What was found, for people and for scripts.

use std::fmt;

use super::decision::{Decision, End, Orphan, Truth, Verdict};
use crate::catalogue::Sku;

/// What came of a page of SKUs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many SKUs were looked at.
    pub compared: u64,
    /// Those that were wrong.
    pub findings: Vec<Finding>,
    /// Those that changed all the while, so that they could not be compared.
    pub moving: Vec<Sku>,
    /// How many were passed over, because the Redis that has them is away.
    pub away: u64,
}

/// What was wrong with one SKU.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Whose stock it is.
    pub sku: Sku,
    /// The count in Redis; `None` where it had no key.
    pub found: Option<i64>,
    /// What it had to be.
    pub expected: i64,
    /// Unsold units in MySQL.
    pub stock: i64,
    /// Holds that nobody would have ended, and how they are to end.
    pub orphans: Vec<Orphan>,
    /// True when it has been put right.
    pub fixed: bool,
}

impl Finding {
    /// What a verdict finds wrong; `None` when that is nothing, or nothing that can be told yet.
    pub(super) fn of(
        sku: &Sku,
        found: Option<i64>,
        truth: &Truth,
        verdict: &Verdict,
    ) -> Option<Self> {
        let expected = match &verdict.decision {
            Decision::Correct { expected, .. } => *expected,
            Decision::Rebuild(rebuild) => rebuild.on_hand,
            _ if verdict.orphans.is_empty() => return None,
            _ => found.unwrap_or_default(),
        };
        Some(Self {
            sku: sku.clone(),
            found,
            expected,
            stock: truth.stock,
            orphans: verdict.orphans.clone(),
            fixed: false,
        })
    }
}

impl Report {
    /// True when nothing is left that is wrong or was not seen.
    pub fn is_clean(&self) -> bool {
        self.left() == 0
    }

    /// How many SKUs are wrong still, or could not be compared.
    pub fn left(&self) -> u64 {
        let wrong = self.findings.iter().filter(|finding| !finding.fixed);
        (wrong.count() + self.moving.len()) as u64 + self.away
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sku,
            expected,
            stock,
            ..
        } = self;
        match self.found {
            None => write!(
                formatter,
                "{sku}: redis has no stock of it, and should have {expected}"
            )?,
            Some(found) if found == *expected => {
                write!(formatter, "{sku}: {found} in redis, as it should be")?
            }
            Some(found) => write!(
                formatter,
                "{sku}: {found} in redis, and should be {expected}"
            )?,
        }
        match expected - stock {
            0 => write!(formatter, " (mysql has {stock})")?,
            // Sales, and changes of the stock the other way round.
            untold => write!(
                formatter,
                " (mysql has {stock}, and redis has still to be told of {untold} that went)"
            )?,
        }
        for orphan in &self.orphans {
            write!(formatter, "; {orphan}")?;
        }
        let end = if self.fixed { "fixed" } else { "left as it is" };
        write!(formatter, ": {end}")
    }
}

impl fmt::Display for Orphan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            order, quantity, ..
        } = self;
        let why = match self.end {
            End::Confirm => "is sold and must be confirmed",
            End::Release => "was called off and must be released",
            End::AbortAndRelease => "is of no order and must be released",
        };
        write!(formatter, "hold {order} of {quantity} {why}")
    }
}
