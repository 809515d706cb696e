//! Whether the books agree with what is expected and with each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Books, Expected, Ledger, OrderRow};

/// The events of an order that was sold, in their order.
pub const SOLD: [&str; 5] = [
    "SagaStarted",
    "InventoryReserved",
    "OrderCreated",
    "PaymentProcessed",
    "OrderConfirmed",
];
/// The events with which every recorded order begins.
const BEGUN: [&str; 3] = ["SagaStarted", "InventoryReserved", "OrderCreated"];
/// The events of an order that was refused for stock: no other ones, because nothing else happened.
pub const REFUSED: [&str; 2] = ["SagaStarted", "OrderCancelled"];

impl Books {
    /// Everything in which the books do not agree with what is expected or with each other; none when all is well.
    pub fn faults(&self, expected: &Expected) -> Vec<String> {
        let mut faults = Vec::new();
        let confirmed: BTreeMap<&String, i64> = self
            .orders
            .iter()
            .filter(|(_, order)| order.status == "CONFIRMED")
            .map(|(id, order)| (id, order.units))
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
        let unasked: Vec<_> = confirmed
            .keys()
            .filter(|id| !expected.sold.contains(**id))
            .collect();
        check(
            unasked.len() <= expected.unanswered,
            format!(
                "unasked: {unasked:?} are CONFIRMED and were never answered 201, with {} unanswered",
                expected.unanswered
            ),
        );
        for (id, order) in &self.orders {
            check(
                !["PENDING", "PAID", "PARKED"].contains(&order.status.as_str()),
                format!("unfinished: order {id} is {}", order.status),
            );
            let payment = self.payments.get(id).map(String::as_str);
            let sound = match order.status.as_str() {
                "CONFIRMED" => payment == Some("captured"),
                "REFUNDED" => payment == Some("refunded"),
                _ => matches!(payment, None | Some("declined" | "voided")),
            };
            let history = &order.history;
            let is_now = format!("{} {}", history.len(), order.status);
            let begins = history.first().is_some_and(|first| first == "1 PENDING");
            let is_whole = begins && history.last() == Some(&is_now);
            check(
                is_whole,
                format!("history: order {id} is {} after {history:?}", order.status),
            );
            check(
                sound,
                format!(
                    "money: order {id} is {} and its payment {payment:?}",
                    order.status
                ),
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
            let order = self.orders.get(id);
            let payment = self.payments.get(id).map(String::as_str);
            check(
                types == wanted_events(order, payment),
                format!("Kafka: order {id} ({order:?}) has the events {types:?}"),
            );
        }
        for (id, order) in self
            .orders
            .iter()
            .filter(|(id, _)| !self.events.contains_key(*id))
        {
            check(
                false,
                format!("Kafka: order {id} is {} and has no events", order.status),
            );
        }
        let refused = self.events.keys();
        let refused = refused.filter(|id| !self.orders.contains_key(*id)).count();
        check(
            refused == expected.refused,
            format!("Kafka: {refused} refusals, not {}", expected.refused),
        );
        faults
    }

    /// The types of each order's events, an event that came twice counted once.
    pub fn event_types(&self) -> impl Iterator<Item = (&String, Vec<&str>)> {
        self.events.iter().map(|(id, events)| {
            let mut seen = BTreeSet::new();
            let once = events.iter().filter(|event| seen.insert(&event.id));
            (id, once.map(|event| event.event_type.as_str()).collect())
        })
    }
}

/// The events that an order which ended so must have: one without a row was refused for stock.
pub fn wanted_events(order: Option<&OrderRow>, payment: Option<&str>) -> Vec<&'static str> {
    let Some(order) = order else {
        return REFUSED.to_vec();
    };
    if order.status == "CONFIRMED" {
        return SOLD.to_vec();
    }
    if order.was_sold {
        let refunded = (order.status == "REFUNDED").then_some("OrderRefunded");
        return [SOLD.as_slice(), &["OrderCancelled"], refunded.as_slice()].concat();
    }
    let mut events = BEGUN.to_vec();
    let reason = order.reason.as_deref().unwrap_or_default();
    if ["payment_declined", "payment_failed", "payment_timeout"].contains(&reason) {
        events.push("PaymentFailed");
    }
    events.push("InventoryReleased");
    events.push(
        if ["abandoned", "payment_timeout", "hold_expired"].contains(&reason) {
            "OrderExpired"
        } else {
            "OrderCancelled"
        },
    );
    if payment == Some("refunded") {
        events.push("OrderRefunded");
    }
    events
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::saga_events::SagaEvent;

    fn confirmed(id: &str) -> (String, OrderRow) {
        let order = OrderRow {
            status: "CONFIRMED".to_owned(),
            reason: None,
            was_sold: true,
            units: 1,
            history: ["1 PENDING", "2 CONFIRMED"].map(str::to_owned).into(),
        };
        (id.to_owned(), order)
    }

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
        let paid = |id: &str| (id.to_owned(), "captured".to_owned());
        let books = Books {
            stock: 0,
            orders: [confirmed("a"), confirmed("b")].into(),
            payments: [paid("a"), paid("b")].into(),
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
                unanswered: 0,
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
    fn a_sale_whose_answer_was_lost_is_no_fault() {
        let lost = doctored(|_, expected| {
            assert!(expected.sold.remove("b"));
            expected.unanswered = 1;
        });
        assert_eq!(lost, "");
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let oversold = doctored(|books, expected| {
            books.orders.extend([confirmed("d")]);
            expected.sold.insert("d".into());
        });
        assert!(oversold.contains("oversold: 3 of 2"), "{oversold}");

        let lost =
            doctored(|books, _| books.orders.get_mut("a").unwrap().status = "CANCELLED".into());
        assert!(lost.contains("lost: order a"), "{lost}");
        assert!(
            lost.contains("money: order a is CANCELLED and its payment Some(\"captured\")"),
            "{lost}"
        );

        let kept = doctored(|books, expected| {
            books.orders.get_mut("a").unwrap().status = "REFUNDED".into();
            expected.sold.remove("a");
        });
        assert!(
            kept.contains("money: order a is REFUNDED and its payment Some(\"captured\")"),
            "{kept}"
        );

        let rewritten = doctored(|books, _| {
            let order = books.orders.get_mut("a").unwrap();
            order.history.remove(0);
        });
        assert!(
            rewritten.contains("history: order a is CONFIRMED after [\"2 CONFIRMED\"]"),
            "{rewritten}"
        );

        let unpaid = doctored(|books, _| assert!(books.payments.remove("a").is_some()));
        assert!(
            unpaid.contains("money: order a is CONFIRMED and its payment None"),
            "{unpaid}"
        );

        let stuck =
            doctored(|books, _| books.orders.get_mut("a").unwrap().status = "PENDING".into());
        assert!(stuck.contains("unfinished: order a"), "{stuck}");

        let unasked = doctored(|_, expected| assert!(expected.sold.remove("b")));
        assert!(unasked.contains("unasked: [\"b\"]"), "{unasked}");

        let truth = doctored(|books, _| books.stock = 1);
        assert!(truth.contains("MySQL: 1 in stock, not 0"), "{truth}");

        let stranded = doctored(|books, _| books.ledger.held = 1);
        assert!(
            stranded.contains("Redis: Ledger { on_hand: 0, held: 1"),
            "{stranded}"
        );

        let swapped = doctored(|books, _| books.events.get_mut("a").unwrap().swap(2, 3));
        assert!(
            swapped.contains("Kafka: order a (Some(OrderRow"),
            "{swapped}"
        );

        let silent = doctored(|books, _| assert!(books.events.remove("a").is_some()));
        assert!(
            silent.contains("order a is CONFIRMED and has no events"),
            "{silent}"
        );

        let untold = doctored(|books, _| assert!(books.events.remove("c").is_some()));
        assert!(untold.contains("0 refusals, not 1"), "{untold}");
    }
}
