//! The rows of the tables.

use crate::machine::Reason;
use crate::order::{self, Lines, OrderNo, SkuNo};

/// `orders.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Recorded, not decided.
    Pending,
    /// Not decided; the provider has told that it has the money.
    Paid,
    /// Sold.
    Confirmed,
    /// Called off.
    Cancelled,
    /// Given up because time ran out.
    Expired,
    /// Called off, and the money is back.
    Refunded,
    /// A person is needed.
    Parked,
}

/// `hold_outcomes.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Sold.
    Committed,
    /// Called off.
    Aborted,
}

/// A row of `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRow {
    /// How far it is.
    pub status: Status,
    /// Why it came to nothing.
    pub reason: Option<Reason>,
    /// Nothing is left to do.
    pub settled: bool,
    /// Until when a saga runs it, in milliseconds.
    pub lease_until_ms: u64,
    /// Which saga recorded it.
    pub saga: u64,
    /// How often recovery has taken it up.
    pub attempts: u32,
    /// When it was placed, in milliseconds.
    pub created_ms: u64,
    /// What it is of.
    pub lines: Lines,
}

/// A row of `inventory_logs` that Redis must be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogRow {
    /// What changed.
    pub sku: SkuNo,
    /// By how much.
    pub delta: i64,
    /// Units of this order came back; else an operator changed the stock.
    pub returned: Option<OrderNo>,
    /// Redis has it.
    pub acknowledged: bool,
}

impl LogRow {
    /// `adjustment_id` of the row at this place.
    pub fn adjustment_id(&self, log: usize) -> String {
        match self.returned {
            Some(order) => order::return_id(order),
            None => format!("adjustment-{log}"),
        }
    }

    /// An undone change's row is deleted; an empty one keeps the others' places.
    pub fn is_undone(&self) -> bool {
        self.delta == 0
    }
}
