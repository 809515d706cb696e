//! The books of one SKU: what MySQL, Redis and Kafka each say of it once the shop is at rest, and whether they agree.
//!
//! Read from the servers themselves, not through the proxy (`reading.rs`), and judged by a pure function that knows none
//! of its code (`judging.rs`).

mod judging;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::saga_events::{EventReader, SagaEvent};
use crate::stack::Stack;

pub use judging::{REFUSED, SOLD, wanted_events};
pub use reading::ledger;

/// How long the last steps of a sale, and its events, may take after the buyer's answer.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// What the buyers and the operator know: the other side of the books.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Units that the operator put in.
    pub stocked: i64,
    /// Orders that were answered 201.
    pub sold: BTreeSet<String>,
    /// How many were answered 409, out of stock.
    pub refused: usize,
    /// How many were answered with neither, or not at all: each of them may have been sold, and none half.
    pub unanswered: usize,
}

/// What the systems say.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// `products.stock`.
    pub stock: i64,
    /// Each order in MySQL with the SKU.
    pub orders: BTreeMap<String, OrderRow>,
    /// How the payment of each order with the SKU stands, where there is one.
    pub payments: BTreeMap<String, String>,
    /// INV.GET's `on_hand`, `held` and `sold`.
    pub ledger: Ledger,
    /// The events of each order with the SKU, by order id, as they arrived.
    pub events: BTreeMap<String, Vec<SagaEvent>>,
}

/// An order as its row says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderRow {
    /// `PENDING`, `CONFIRMED`, `CANCELLED` …
    pub status: String,
    /// Why it was called off.
    pub reason: Option<String>,
    /// Whether it was sold, now or before it was cancelled.
    pub was_sold: bool,
    /// Units of the SKU.
    pub units: i64,
    /// What its history says it became, step by step, each with its version: `1 PENDING`.
    pub history: Vec<String>,
}

/// What Redis says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Units not yet sold.
    pub on_hand: i64,
    /// Units in live holds.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
}

impl Expected {
    /// So many units put in, these orders sold, so many refused, and no request without an answer.
    pub fn of(stocked: i64, sold: &[&str], refused: usize) -> Expected {
        Expected {
            stocked,
            sold: sold.iter().map(|id| (*id).to_owned()).collect(),
            refused,
            unanswered: 0,
        }
    }
}

/// [`settle`] for one SKU with a reader of its own, which reads the topic from its start.
pub async fn audit(stack: &Stack, sku: &str, expected: &Expected) -> Result<Books> {
    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    settle(stack, &reader, sku, expected, &mut Vec::new()).await
}

/// Reads the books until they are in order: the last step of a sale (confirming the hold in Redis) and the way of the
/// events to Kafka come after the buyer's answer. When the deadline passes, the error lists the faults that remain.
pub async fn settle(
    stack: &Stack,
    reader: &EventReader,
    sku: &str,
    expected: &Expected,
    seen: &mut Vec<SagaEvent>,
) -> Result<Books> {
    let started = Instant::now();
    loop {
        // Waits a little for events, and so is also the pause between two looks.
        seen.extend(drain(reader)?);
        let books = Books::read(stack, sku, seen).await?;
        let faults = books.faults(expected);
        if faults.is_empty() {
            return Ok(books);
        }
        if started.elapsed() > SETTLED_WITHIN {
            bail!("the books of {sku} do not agree: {faults:#?}");
        }
    }
}

/// What has arrived by now.
fn drain(reader: &EventReader) -> Result<Vec<SagaEvent>> {
    let mut events = Vec::new();
    while let Some(event) = reader.next(Duration::from_millis(50))? {
        events.push(event);
    }
    Ok(events)
}
