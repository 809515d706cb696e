//! The books of the whole shop at rest: every order, payment, event and SKU. Read from the servers themselves and judged
//! by a pure function, as in [`crate::books`], which looks at one SKU.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

use crate::books::{OrderRow, SOLD, wanted_events};
use crate::saga_events::EventReader;
use crate::stack::Stack;

/// How many faults are told; a shop that lost everything need not list it all.
const TOLD: usize = 20;

/// What the systems say.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Each order in MySQL; `units` is not filled in.
    pub orders: BTreeMap<String, OrderRow>,
    /// Those that were sold, whatever became of them since.
    pub committed: BTreeSet<String>,
    /// How many of them are not settled.
    pub unsettled: i64,
    /// Rows that wait in the outbox.
    pub waiting: i64,
    /// How the payment of each order stands.
    pub payments: BTreeMap<String, String>,
    /// The types of each order's events as they arrived, each event once.
    pub events: BTreeMap<String, Vec<String>>,
    /// Each SKU.
    pub stock: BTreeMap<String, Stock>,
}

/// What clients know.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Orders that they were told are sold.
    pub sold: BTreeSet<String>,
    /// Orders that were sold, and that they were told are cancelled.
    pub cancelled: BTreeSet<String>,
}

/// What is said of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// `products.stock`.
    pub stock: i64,
    /// The sum of what was put in, from the log.
    pub put_in: i64,
    /// Units of CONFIRMED orders.
    pub sold: i64,
    /// `on_hand` and `held` in Redis; zeros where no key was ever needed.
    pub ledger: [i64; 2],
}

impl Verdict {
    /// Everything that does not agree, at most a few of them told; none when all is well. `known` is what clients know.
    pub fn faults(&self, known: &Known) -> Vec<String> {
        let mut faults = Vec::new();
        let wanted = [(&known.sold, "CONFIRMED"), (&known.cancelled, "REFUNDED")];
        for (ids, wanted) in wanted {
            for id in ids {
                let status = self.orders.get(id).map(|order| order.status.as_str());
                if status != Some(wanted) {
                    faults.push(format!(
                        "lost: order {id} was acknowledged as {wanted} and is {status:?}"
                    ));
                }
            }
        }
        for (id, order) in &self.orders {
            let payment = self.payments.get(id).map(String::as_str);
            let is_right = match order.status.as_str() {
                "CONFIRMED" => payment == Some("captured"),
                // What is set aside is nobody's gain, and missed by whose card it is.
                _ => matches!(payment, None | Some("declined" | "voided" | "refunded")),
            };
            if !is_right {
                faults.push(format!(
                    "money: order {id} is {order:?} and its payment {payment:?}"
                ));
            }
            let none = Vec::new();
            let events = self.events.get(id).unwrap_or(&none);
            // Money that was only set aside is let go without a word.
            let told = payment.filter(|payment| *payment != "voided");
            let mut wanted = wanted_events(Some(order), told);
            if order.status != "CONFIRMED" && self.committed.contains(id) {
                wanted = [&SOLD[..], &["OrderCancelled", "OrderRefunded"]].concat();
            }
            if *events != wanted {
                faults.push(format!(
                    "Kafka: order {id} ({order:?}) has the events {events:?}"
                ));
            }
        }
        let unknown = self
            .payments
            .keys()
            .filter(|id| !self.orders.contains_key(*id));
        faults
            .extend(unknown.map(|id| format!("money: nobody knows the order {id} that was paid")));
        for (sku, stock) in &self.stock {
            let sound = stock.stock == stock.put_in - stock.sold
                && stock.stock >= 0
                && stock.ledger == [stock.stock, 0];
            if !sound {
                faults.push(format!("stock: {sku} is {stock:?}"));
            }
        }
        if self.unsettled != 0 || self.waiting != 0 {
            let Verdict {
                unsettled, waiting, ..
            } = self;
            faults.push(format!(
                "unfinished: {unsettled} orders, {waiting} events in the outbox"
            ));
        }
        let more = faults.len().saturating_sub(TOLD);
        faults.truncate(TOLD);
        if more > 0 {
            faults.push(format!("and {more} more"));
        }
        faults
    }

    async fn read(stack: &Stack, events: &BTreeMap<String, Vec<String>>) -> Result<Verdict> {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let mut verdict = Verdict {
            payments: stack.payment.all().await?,
            events: events.clone(),
            ..Verdict::default()
        };
        let rows = sqlx::query("SELECT id, status, reason, settled FROM orders");
        for row in rows.fetch_all(&mut mysql).await? {
            let id = Uuid::from_slice(row.try_get("id")?)?.to_string();
            let order = OrderRow {
                status: row.try_get("status")?,
                reason: row.try_get("reason")?,
                ..OrderRow::default()
            };
            verdict.unsettled += i64::from(row.try_get::<i8, _>("settled")? == 0);
            verdict.orders.insert(id, order);
        }
        let committed = "SELECT order_id FROM hold_outcomes WHERE outcome = 'COMMITTED'";
        let committed: Vec<Uuid> = sqlx::query_scalar(committed).fetch_all(&mut mysql).await?;
        verdict.committed = committed.iter().map(Uuid::to_string).collect();
        verdict.waiting = sqlx::query_scalar("SELECT COUNT(*) FROM outbox")
            .fetch_one(&mut mysql)
            .await?;
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT sku, stock,
               (SELECT CAST(COALESCE(SUM(delta), 0) AS SIGNED) FROM inventory_logs AS log
                 WHERE log.sku = products.sku AND log.order_id IS NULL),
               (SELECT CAST(COALESCE(SUM(quantity), 0) AS SIGNED) FROM order_lines AS line
                 JOIN orders ON orders.id = line.order_id
                 WHERE line.sku = products.sku AND orders.status = 'CONFIRMED')
             FROM products",
        )
        .fetch_all(&mut mysql)
        .await?;
        let mut redis = stack.redis.connection()?;
        for (sku, stock, put_in, sold) in rows {
            let counts: Option<BTreeMap<String, i64>> = redis::cmd("INV.GET")
                .arg(format!("inv:{{{sku}}}"))
                .query(&mut redis)?;
            let count = |name| counts.as_ref().map_or(0, |counts| counts[name]);
            let ledger = ["on_hand", "held"].map(count);
            let stock = Stock {
                stock,
                put_in,
                sold,
                ledger,
            };
            verdict.stock.insert(sku, stock);
        }
        Ok(verdict)
    }
}

/// Reads the books until they are in order, for what is left of recovery and of the events' way to Kafka; when the
/// deadline passes, the error lists what remains.
pub async fn settle(stack: &Stack, known: &Known, deadline: Duration) -> Result<Verdict> {
    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let (mut seen, mut events) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
    let started = Instant::now();
    loop {
        // Waits a little for events, and so is also the pause between two looks.
        while let Some(event) = reader.next(Duration::from_millis(500))? {
            if seen.insert(event.id) {
                events.entry(event.key).or_default().push(event.event_type);
            }
        }
        let verdict = Verdict::read(stack, &events).await?;
        let faults = verdict.faults(known);
        if faults.is_empty() {
            return Ok(verdict);
        }
        if started.elapsed() > deadline {
            bail!("the books do not agree: {faults:#?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Verdict {
        let order = OrderRow {
            status: "CONFIRMED".to_owned(),
            ..OrderRow::default()
        };
        let stock = Stock {
            stock: 9,
            put_in: 10,
            sold: 1,
            ledger: [9, 0],
        };
        Verdict {
            orders: [("a".to_owned(), order)].into(),
            payments: [("a".to_owned(), "captured".to_owned())].into(),
            events: [("a".to_owned(), SOLD.map(str::to_owned).to_vec())].into(),
            stock: [("MUG".to_owned(), stock)].into(),
            ..Verdict::default()
        }
    }

    fn doctored(doctor: impl FnOnce(&mut Verdict)) -> String {
        let mut verdict = sound();
        doctor(&mut verdict);
        let known = Known {
            sold: ["a".to_owned()].into(),
            ..Known::default()
        };
        verdict.faults(&known).join("; ")
    }

    #[test]
    fn every_kind_of_fault_is_found_and_nothing_in_sound_books() {
        assert_eq!(doctored(|_| ()), "");
        let lost = doctored(|verdict| verdict.orders.clear());
        assert!(
            lost.contains("lost: order a was acknowledged as CONFIRMED and is None"),
            "{lost}"
        );
        assert!(lost.contains("nobody knows the order a"), "{lost}");
        let unpaid = doctored(|verdict| verdict.payments.clear());
        assert!(unpaid.contains("money: order a"), "{unpaid}");
        let silent = doctored(|verdict| verdict.events.clear());
        assert!(silent.contains("Kafka: order a"), "{silent}");
        let stranded = doctored(|verdict| verdict.stock.get_mut("MUG").unwrap().ledger[1] = 1);
        assert!(stranded.contains("stock: MUG"), "{stranded}");
        let oversold = doctored(|verdict| {
            let stock = verdict.stock.get_mut("MUG").unwrap();
            (stock.stock, stock.sold, stock.ledger[0]) = (-1, 11, -1);
        });
        assert!(oversold.contains("stock: MUG"), "{oversold}");
        let left = doctored(|verdict| verdict.unsettled = 1);
        assert!(left.contains("unfinished: 1 orders"), "{left}");
    }
}
