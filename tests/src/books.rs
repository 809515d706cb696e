//! The books of one SKU: what MySQL, Redis and Kafka each say of it once the shop is at rest, and whether they agree.
//!
//! Read from the servers themselves, not through the proxy, and judged by a pure function that knows none of its code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

use crate::saga_events::{EventReader, SagaEvent};
use crate::stack::Stack;

/// The events of an order that was sold, in their order.
pub const SOLD: [&str; 5] = [
    "SagaStarted",
    "InventoryReserved",
    "OrderCreated",
    "PaymentProcessed",
    "OrderConfirmed",
];
/// The events of an order that was refused for stock: no other ones, because nothing else happened.
pub const REFUSED: [&str; 2] = ["SagaStarted", "OrderCancelled"];

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
}

/// What the systems say.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// `products.stock`.
    pub stock: i64,
    /// Each order in MySQL with the SKU: its status and units.
    pub orders: BTreeMap<String, (String, i64)>,
    /// INV.GET's `on_hand`, `held` and `sold`.
    pub ledger: Ledger,
    /// The events of each order with the SKU, by order id, as they arrived.
    pub events: BTreeMap<String, Vec<SagaEvent>>,
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

impl Books {
    /// Reads them. The events are those of `events`, so that one reader serves many SKUs.
    pub async fn read(stack: &Stack, sku: &str, events: &[SagaEvent]) -> Result<Books> {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let stock = sqlx::query_scalar("SELECT stock FROM products WHERE sku = ?")
            .bind(sku)
            .fetch_one(&mut mysql)
            .await?;
        let rows = sqlx::query(
            "SELECT id, status, quantity FROM orders JOIN order_lines ON order_id = id WHERE sku = ?",
        )
        .bind(sku)
        .fetch_all(&mut mysql)
        .await?;
        let mut orders = BTreeMap::new();
        for row in rows {
            let id = Uuid::from_slice(row.try_get("id")?)?.to_string();
            orders.insert(id, (row.try_get("status")?, row.try_get("quantity")?));
        }
        Ok(Books {
            stock,
            orders,
            ledger: ledger(stack, sku)?,
            events: of_sku(events, sku),
        })
    }

    /// Everything in which the books do not agree with what is expected or with each other; none when all is well.
    pub fn faults(&self, expected: &Expected) -> Vec<String> {
        let mut faults = Vec::new();
        let confirmed: BTreeMap<&String, i64> = self
            .orders
            .iter()
            .filter(|(_, (status, _))| status == "CONFIRMED")
            .map(|(id, (_, units))| (id, *units))
            .collect();
        let units: i64 = confirmed.values().sum();
        let mut check = |sound: bool, fault: String| {
            if !sound {
                faults.push(fault);
            }
        };
        check(
            units <= expected.stocked,
            format!("oversold: {units} of {}", expected.stocked),
        );
        for id in expected
            .sold
            .iter()
            .filter(|id| !confirmed.contains_key(id))
        {
            check(
                false,
                format!("lost: order {id} was answered 201 and is not CONFIRMED in MySQL"),
            );
        }
        for id in confirmed.keys().filter(|id| !expected.sold.contains(**id)) {
            check(
                false,
                format!("unasked: order {id} is CONFIRMED and was never answered 201"),
            );
        }
        let left = expected.stocked - units;
        check(
            self.stock == left,
            format!("MySQL: {} in stock, not {left}", self.stock),
        );
        let ledger = Ledger {
            on_hand: left,
            held: 0,
            sold: units,
        };
        check(
            self.ledger == ledger,
            format!("Redis: {:?}, not {ledger:?}", self.ledger),
        );
        for (id, types) in self.event_types() {
            let sold = confirmed.contains_key(id);
            let wanted: &[&str] = if sold { &SOLD } else { &REFUSED };
            check(
                types == wanted,
                format!("Kafka: order {id} (sold: {sold}) has the events {types:?}"),
            );
        }
        for id in confirmed
            .keys()
            .filter(|id| !self.events.contains_key(**id))
        {
            check(
                false,
                format!("Kafka: order {id} is CONFIRMED and has no events"),
            );
        }
        let refused = self.events.len().saturating_sub(confirmed.len());
        check(
            refused == expected.refused,
            format!("Kafka: {refused} refusals, not {}", expected.refused),
        );
        faults
    }

    /// The types of each order's events, an event that came twice counted once.
    fn event_types(&self) -> impl Iterator<Item = (&String, Vec<&str>)> {
        self.events.iter().map(|(id, events)| {
            let mut seen = BTreeSet::new();
            let once = events.iter().filter(|event| seen.insert(&event.id));
            (id, once.map(|event| event.event_type.as_str()).collect())
        })
    }
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

/// The ledger of a SKU, by INV.GET.
pub fn ledger(stack: &Stack, sku: &str) -> Result<Ledger> {
    let fields: Option<BTreeMap<String, i64>> = redis::cmd("INV.GET")
        .arg(format!("inv:{{{sku}}}"))
        .query(&mut stack.redis.connection()?)?;
    let fields = fields.with_context(|| format!("Redis has no stock of {sku}"))?;
    let field = |name: &str| {
        fields
            .get(name)
            .copied()
            .with_context(|| format!("INV.GET has no {name}"))
    };
    Ok(Ledger {
        on_hand: field("on_hand")?,
        held: field("held")?,
        sold: field("sold")?,
    })
}

/// The events of orders with a line of this SKU, by order.
fn of_sku(events: &[SagaEvent], sku: &str) -> BTreeMap<String, Vec<SagaEvent>> {
    let mut orders: BTreeMap<String, Vec<SagaEvent>> = BTreeMap::new();
    for event in events {
        let lines = event.body["lines"].as_array();
        if lines.is_some_and(|lines| lines.iter().any(|line| line["sku"] == sku)) {
            orders
                .entry(event.key.clone())
                .or_default()
                .push(event.clone());
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Two lanterns, two buyers served and one refused, all in order.
    fn sound() -> (Books, Expected) {
        let saga = |id: &str, types: &[&str]| {
            let event = |event_type: &&str| SagaEvent {
                key: id.to_owned(),
                event_type: (*event_type).to_owned(),
                id: format!("{id}-{event_type}"),
                body: Value::Null,
            };
            (id.to_owned(), types.iter().map(event).collect())
        };
        let order = |id: &str| (id.to_owned(), ("CONFIRMED".to_owned(), 1));
        let books = Books {
            stock: 0,
            orders: [order("a"), order("b")].into(),
            ledger: Ledger {
                on_hand: 0,
                held: 0,
                sold: 2,
            },
            events: [saga("a", &SOLD), saga("b", &SOLD), saga("c", &REFUSED)].into(),
        };
        let sold = ["a".to_owned(), "b".to_owned()].into();
        (
            books,
            Expected {
                stocked: 2,
                sold,
                refused: 1,
            },
        )
    }

    /// The faults after the books were doctored.
    fn doctored(doctor: impl FnOnce(&mut Books, &mut Expected)) -> String {
        let (mut books, mut expected) = sound();
        doctor(&mut books, &mut expected);
        books.faults(&expected).join("; ")
    }

    #[test]
    fn sound_books_have_no_faults() {
        let (books, expected) = sound();
        assert_eq!(books.faults(&expected), Vec::<String>::new());
    }

    #[test]
    fn an_event_that_came_twice_is_no_fault() {
        let twice = doctored(|books, _| {
            let saga = books.events.get_mut("a").unwrap();
            saga.insert(3, saga[1].clone());
        });
        assert_eq!(twice, "");
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let oversold = doctored(|books, expected| {
            books.orders.insert("d".into(), ("CONFIRMED".into(), 1));
            expected.sold.insert("d".into());
        });
        assert!(oversold.contains("oversold: 3 of 2"), "{oversold}");

        let lost = doctored(|books, _| books.orders.get_mut("a").unwrap().0 = "CANCELLED".into());
        assert!(lost.contains("lost: order a"), "{lost}");

        let unasked = doctored(|_, expected| assert!(expected.sold.remove("b")));
        assert!(unasked.contains("unasked: order b"), "{unasked}");

        let truth = doctored(|books, _| books.stock = 1);
        assert!(truth.contains("MySQL: 1 in stock, not 0"), "{truth}");

        let stranded = doctored(|books, _| books.ledger.held = 1);
        assert!(
            stranded.contains("Redis: Ledger { on_hand: 0, held: 1"),
            "{stranded}"
        );

        let swapped = doctored(|books, _| books.events.get_mut("a").unwrap().swap(2, 3));
        assert!(swapped.contains("Kafka: order a (sold: true)"), "{swapped}");

        let silent = doctored(|books, _| assert!(books.events.remove("a").is_some()));
        assert!(
            silent.contains("order a is CONFIRMED and has no events"),
            "{silent}"
        );

        let untold = doctored(|books, _| assert!(books.events.remove("c").is_some()));
        assert!(untold.contains("0 refusals, not 1"), "{untold}");
    }
}
