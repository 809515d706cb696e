//! What the servers say, as plain data: filled by the readers, judged by the verdicts, and in the
//! tests of the verdicts made by hand.
//!
//! A million orders are to fit, so what is kept of each is small: rows are folded into sums as they
//! come, ids are their 16 bytes, words are numbers.

pub mod events;
pub mod orders;
pub mod purchases;
#[cfg(test)]
pub mod sample;
pub mod stock;

use uuid::Uuid;

use events::Events;
use orders::{LogAlone, Order, Orders};
use purchases::Purchases;
use stock::{Kind, LogRow, Stocks};

/// Everything that is judged.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Each SKU: its row in MySQL, its changes, its ledger in Redis.
    pub stocks: Stocks,
    /// Each order in MySQL with its lines, and what was logged of them.
    pub orders: Orders,
    /// What buyers have of SKUs with a limit for each.
    pub purchases: Purchases,
    /// Each event, in Kafka or waiting in the outbox.
    pub events: Events,
    /// The live holds of Redis, as read before MySQL.
    pub holds: Vec<LiveHold>,
    /// Orders that clients say were answered 201.
    pub acknowledged: Vec<Uuid>,
    /// What was in motion while the servers were read.
    pub in_flight: InFlight,
}

impl Evidence {
    /// The order that a hold is named after, where MySQL has it.
    pub fn order_of(&self, hold: &LiveHold) -> Option<&Order> {
        match hold.id {
            HoldId::Order(id) => self.orders.at(self.orders.find(id)?),
            HoldId::Other(_) => None,
        }
    }

    /// Folds the next row of the log into its SKU and, if it sells or returns, into its line.
    pub fn add_log(&mut self, sku: usize, row: &LogRow<'_>) {
        self.stocks.add_log(sku, row);
        if row.kind() == Kind::Adjustment {
            return;
        }
        let line = row.order.and_then(|order| self.orders.line_mut(order, sku));
        match (line, row.kind()) {
            (Some(line), Kind::Sale) => {
                line.sold_rows += 1;
                line.sold_units -= row.delta;
            }
            (Some(line), _) => {
                line.returned_rows += 1;
                line.returned_units += row.delta;
            }
            (None, _) => self.orders.logs_alone.push(LogAlone {
                order: row.order,
                sku,
                log_id: row.id,
            }),
        }
    }
}

/// A hold that was live when Redis was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveHold {
    /// Which SKU, as an index into [`Stocks`].
    pub sku: usize,
    /// The hold's id.
    pub id: HoldId,
    /// True when only CONFIRM or RELEASE ends it; false when it has a deadline.
    pub prepared: bool,
    /// Units.
    pub units: i64,
    /// False when a second look, after MySQL was read, found that it had ended.
    pub stays: bool,
}

/// The shop's own holds are named after their orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldId {
    /// The id of an order, recorded or yet to be.
    Order(Uuid),
    /// Somebody else's.
    Other(Box<str>),
}

/// What is on its way: all zeros when the shop is at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct InFlight {
    /// Orders that are not settled.
    pub orders: u64,
    /// Of these, those that wait for a person.
    pub parked_orders: u64,
    /// The age of the oldest unsettled order, ms.
    pub oldest_order_ms: i64,
    /// Changes of stock that Redis has not acknowledged.
    pub stock_changes: u64,
    /// Events in the outbox.
    pub events: u64,
    /// Of these, those that Kafka refused, or that wait behind one.
    pub parked_events: u64,
    /// Units in live holds.
    pub held_units: i64,
}

impl InFlight {
    /// True when nothing is.
    pub fn is_nothing(&self) -> bool {
        self.orders == 0 && self.stock_changes == 0 && self.events == 0 && self.held_units == 0
    }
}

impl std::fmt::Display for InFlight {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_nothing() {
            return formatter.write_str("nothing: the shop is at rest");
        }
        write!(
            formatter,
            "{} orders ({} parked, the oldest since {:.1} s), {} stock changes, {} events ({} parked), {} held units",
            self.orders,
            self.parked_orders,
            self.oldest_order_ms as f64 / 1000.0,
            self.stock_changes,
            self.events,
            self.parked_events,
            self.held_units,
        )
    }
}
