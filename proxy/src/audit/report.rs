//! The proof, or what breaks it, for people and for programs.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

use super::evidence::InFlight;
use super::verdict::{Breach, Verdict};

/// More breaches of one invariant than this are left to `--json`.
const SHOWN: usize = 50;

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True when nothing breaks an invariant.
    pub sound: bool,
    /// SKUs whose two counts could not be compared, because they never stood still.
    pub moving_skus: u64,
    /// What was looked at.
    pub looked_at: LookedAt,
    /// What was in motion meanwhile.
    pub in_flight: InFlight,
    /// One for each invariant.
    pub verdicts: Vec<Verdict>,
}

/// How much there was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LookedAt {
    /// Products, and keys of Redis without one.
    pub skus: u64,
    /// Orders.
    pub orders: u64,
    /// Their lines.
    pub lines: u64,
    /// Changes of stock.
    pub stock_changes: u64,
    /// Messages in Kafka.
    pub events: u64,
    /// How long it took, ms.
    pub took_ms: u64,
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let LookedAt {
            skus,
            orders,
            lines,
            stock_changes,
            events,
            took_ms,
        } = self.looked_at;
        writeln!(
            formatter,
            "looked at  {skus} SKUs, {orders} orders with {lines} lines, {stock_changes} stock changes, {events} events, in {:.1} s",
            took_ms as f64 / 1000.0
        )?;
        writeln!(formatter, "in flight  {}", self.in_flight)?;
        for verdict in &self.verdicts {
            tell(verdict, formatter)?;
        }
        let broken: Vec<String> = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.is_sound())
            .map(|verdict| format!("{} ({})", verdict.invariant, verdict.broken))
            .collect();
        let in_part: Vec<String> = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.not_judged.is_empty())
            .map(|verdict| verdict.invariant.to_string())
            .collect();
        match (broken.is_empty(), in_part.is_empty()) {
            (true, true) => write!(formatter, "SOUND: every invariant holds"),
            (true, false) => write!(
                formatter,
                "SOUND as far as it can be told: no invariant is broken, {} judged in part",
                in_part.join(", ")
            ),
            (false, _) => write!(formatter, "BROKEN: {}", broken.join(", ")),
        }
    }
}

fn tell(verdict: &Verdict, formatter: &mut Formatter<'_>) -> Result {
    let word = if verdict.is_sound() {
        "sound"
    } else {
        "BROKEN"
    };
    writeln!(
        formatter,
        "{}  {:<20} {word}",
        verdict.invariant, verdict.name
    )?;
    if verdict.is_sound() {
        for line in &verdict.proof {
            writeln!(formatter, "     {line}")?;
        }
    }
    for breach in verdict.breaches.iter().take(SHOWN) {
        writeln!(formatter, "     {breach}")?;
    }
    for line in &verdict.not_judged {
        writeln!(formatter, "     cannot be told: {line}")?;
    }
    let hidden = verdict.broken.saturating_sub(SHOWN as u64);
    if hidden > 0 {
        writeln!(
            formatter,
            "     … and {hidden} more; --json has up to a thousand of them"
        )?;
    }
    Ok(())
}

impl Display for Breach {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "{}: ", self.kind)?;
        match (&self.order, &self.sku) {
            (Some(order), _) => write!(formatter, "order {order}: ")?,
            (None, Some(sku)) => write!(formatter, "{sku}: ")?,
            (None, None) => {}
        }
        formatter.write_str(&self.says)
    }
}
