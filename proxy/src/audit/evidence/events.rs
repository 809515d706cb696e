//! Events: what was told of each order and SKU, from Kafka and then from the outbox.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::Evidence;
use super::stock::Told;

/// All events of orders, and what can be said of the topic.
#[derive(Debug, Clone, Default)]
pub struct Events {
    all: Vec<Event>,
    strangers: Vec<Uuid>,
    stranger_places: HashMap<Uuid, u32>,
    /// Messages that are no event: where they stand, and what is wrong.
    pub unreadable: Vec<String>,
    /// Changes of stock told in another order than they were made: the SKU and the event's id.
    pub stock_reordered: Vec<(usize, Box<str>)>,
    last_told: HashMap<usize, i64>,
    /// Messages in Kafka.
    pub in_kafka: u64,
    /// Messages that Kafka has removed, for they were old or because later ones have their key.
    pub removed: u64,
    /// Where each partition begins that has had messages removed, Unix ms; `i64::MAX` when it is
    /// empty.
    horizons_ms: HashMap<i32, i64>,
}

/// One event of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which order: a place among [`super::orders::Orders`] or, behind those, among the strangers.
    order: u32,
    /// What kind.
    pub kind: Kind,
    /// Where it was found.
    pub place: Place,
    /// True when its body is not of its order: another id, or other lines.
    pub is_of_another: bool,
    /// The number of its `reason`'s word.
    pub reason: u16,
    /// The partition of the topic that it is in; [`OUTBOX`] when it waits.
    pub partition: i32,
    /// Its `ce_id`, hashed.
    pub id: u64,
    /// Its content, hashed.
    pub digest: u64,
}

/// The partition of what is in none yet.
pub const OUTBOX: i32 = -1;

/// Where an event was found. MySQL was read after the first of these was there and before the
/// second was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In Kafka before MySQL was read.
    Early,
    /// In Kafka since.
    Late,
    /// In the outbox.
    Waiting,
}

/// The words of `ce_type` that tell of an order; docs/events.md says what each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    SagaStarted,
    InventoryReserved,
    OrderCreated,
    PaymentProcessed,
    OrderConfirmed,
    PaymentFailed,
    InventoryReleased,
    OrderCancelled,
    OrderExpired,
    OrderRefunded,
    Unknown,
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "SagaStarted" => Self::SagaStarted,
            "InventoryReserved" => Self::InventoryReserved,
            "OrderCreated" => Self::OrderCreated,
            "PaymentProcessed" => Self::PaymentProcessed,
            "OrderConfirmed" => Self::OrderConfirmed,
            "PaymentFailed" => Self::PaymentFailed,
            "InventoryReleased" => Self::InventoryReleased,
            "OrderCancelled" => Self::OrderCancelled,
            "OrderExpired" => Self::OrderExpired,
            "OrderRefunded" => Self::OrderRefunded,
            _ => Self::Unknown,
        }
    }
}

/// An event as it stands in Kafka or in the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The message's key.
    pub key: &'a str,
    /// `ce_type`.
    pub event_type: &'a str,
    /// `ce_id`.
    pub event_id: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Where it was found.
    pub place: Place,
    /// Its partition; [`OUTBOX`] when it waits.
    pub partition: i32,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    order_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sku: Option<Cow<'a, str>>,
    #[serde(borrow)]
    adjustment_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    lines: Vec<BodyLine<'a>>,
    delta: Option<i64>,
}

#[derive(Deserialize)]
struct BodyLine<'a> {
    #[serde(borrow)]
    sku: Cow<'a, str>,
    quantity: i64,
}

impl Evidence {
    /// Adds an event. Those of Kafka come first, each partition's in their order; then those of the
    /// outbox in theirs. Orders and the log must be there.
    pub fn add_event(&mut self, message: Message<'_>) -> Result<(), String> {
        let body: Body<'_> = serde_json::from_slice(message.body)
            .map_err(|error| format!("its body cannot be read: {error}"))?;
        if message.event_type == "StockAdjusted" {
            return self.add_stock_event(&message, &body);
        }
        let id = Uuid::try_parse(message.key)
            .map_err(|_| format!("its key '{}' is no order's id", message.key))?;
        let place = self.orders.find(id);
        let event = Event {
            order: match place {
                Some(place) => place as u32,
                None => self.events.stranger(id, self.orders.len()),
            },
            kind: Kind::of(message.event_type),
            place: message.place,
            is_of_another: body.order_id.as_deref() != Some(message.key)
                || place.is_some_and(|place| !self.has_lines(place, &body.lines)),
            reason: self
                .orders
                .number(body.reason.as_deref().unwrap_or_default()),
            partition: message.partition,
            id: hash(&message.event_id),
            digest: hash(&(message.event_type, message.body)),
        };
        self.events.all.push(event);
        Ok(())
    }

    fn has_lines(&self, place: usize, told: &[BodyLine<'_>]) -> bool {
        let Some(order) = self.orders.at(place) else {
            return false;
        };
        let lines = self.orders.lines(order);
        lines.len() == told.len()
            && told.iter().all(|told| {
                let sku = self.stocks.find(&told.sku);
                lines
                    .iter()
                    .any(|line| Some(line.sku) == sku && line.quantity == told.quantity)
            })
    }

    fn add_stock_event(&mut self, message: &Message<'_>, body: &Body<'_>) -> Result<(), String> {
        let (Some(sku), Some(delta), Some(adjustment_id)) =
            (&body.sku, body.delta, &body.adjustment_id)
        else {
            return Err(
                "it does not say which stock changed, by how much, or under which id".into(),
            );
        };
        if sku != message.key {
            return Err(format!("it is of {sku} and its key is '{}'", message.key));
        }
        let told = Told {
            id: hash(&message.event_id),
            digest: hash(&(message.event_type, message.body)),
            delta,
            is_undoing: body.reason.as_deref() == Some("undone"),
            is_late: message.place == Place::Late,
        };
        let sku = self.stocks.place(sku);
        let change = (sku, Box::from(adjustment_id.as_ref()));
        let adjustment = self.stocks.adjustments.entry(change).or_default();
        if let Some(before) = adjustment.told.iter().find(|before| before.id == told.id) {
            if before.digest == told.digest {
                return Ok(());
            }
            return Err(format!(
                "event {} was told twice, in two ways",
                message.event_id
            ));
        }
        adjustment.told.push(told);
        let logged = adjustment
            .logged
            .filter(|logged| logged.delta == delta && !told.is_undoing);
        if let Some(logged) = logged {
            let last = self.events.last_told.entry(sku).or_insert(logged.log_id);
            if *last > logged.log_id {
                self.events
                    .stock_reordered
                    .push((sku, adjustment_id.as_ref().into()));
            }
            *last = (*last).max(logged.log_id);
        }
        Ok(())
    }
}

impl Events {
    /// Kafka has removed so many messages of a partition before one of this time, Unix ms.
    pub fn skip(&mut self, partition: i32, messages: i64, time_ms: i64) {
        if messages > 0 {
            self.removed += messages.cast_unsigned();
            let horizon_ms = self.horizons_ms.entry(partition).or_insert(i64::MIN);
            *horizon_ms = time_ms.max(*horizon_ms);
        }
    }

    /// Events of what was recorded before this may have been removed, Unix ms; those of one order
    /// are all in the partition of any of them.
    pub fn horizon_ms(&self, told: &[&Event]) -> i64 {
        let known = told.iter().find(|event| event.partition != OUTBOX);
        let horizon_ms = match known {
            Some(event) => self.horizons_ms.get(&event.partition),
            None => self.horizons_ms.values().max(),
        };
        horizon_ms.copied().unwrap_or(i64::MIN)
    }

    /// Why events may be missing, for people.
    pub fn why_removed(&self) -> String {
        let horizon_ms = i128::from(self.horizon_ms(&[]));
        let begins = OffsetDateTime::from_unix_timestamp_nanos(horizon_ms * 1_000_000);
        match begins.ok().and_then(|time| time.format(&Rfc3339).ok()) {
            Some(time) => format!("the topic begins at {time}"),
            None => "nothing is left in a partition of the topic".to_owned(),
        }
    }

    /// To be called when all are there: puts those of one order side by side, in their order.
    pub fn sort(&mut self) {
        self.all.sort_by_key(|event| event.order);
        self.all.shrink_to_fit();
    }

    /// The events of the order at this place, repetitions among them.
    pub fn of(&self, place: usize) -> &[Event] {
        let first = self
            .all
            .partition_point(|event| (event.order as usize) < place);
        let rest = &self.all[first..];
        let count = rest.partition_point(|event| event.order as usize == place);
        &rest[..count]
    }

    /// The events of orders that MySQL does not have.
    pub fn of_strangers(&self, orders: usize) -> impl Iterator<Item = (Uuid, &[Event])> {
        let ids = self.strangers.iter().enumerate();
        ids.map(move |(place, id)| (*id, self.of(orders + place)))
    }

    fn stranger(&mut self, id: Uuid, orders: usize) -> u32 {
        let next = (orders + self.strangers.len()) as u32;
        let place = *self.stranger_places.entry(id).or_insert(next);
        if place == next {
            self.strangers.push(id);
        }
        place
    }

    /// All events, to be doctored.
    #[cfg(test)]
    pub fn all_mut(&mut self) -> &mut Vec<Event> {
        &mut self.all
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
