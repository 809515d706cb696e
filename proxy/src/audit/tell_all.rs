//! E. Tell all: every transition of an order has one event, in Kafka or still in the outbox, in order
//! per order. docs/events.md is the promise that this file holds the shop to.

use uuid::Uuid;

use super::evidence::Evidence;
use super::evidence::events::{Event, Kind, OUTBOX, Place};
use super::evidence::orders::Order;
use super::evidence::stock::{Adjustment, Logged};
use super::history::{difference, is_told, may_follow, wanted_events};
use super::verdict::Verdict;

/// Judges what was told of each order, and of each change of stock.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::new('E', "tell all");
    let events = &evidence.events;
    let (mut repeated, mut forgotten) = (0, 0_u64);
    for (place, order) in evidence.orders.iter().enumerate() {
        let told = each_once(order.id, events.of(place), &mut verdict);
        repeated += events.of(place).len() - told.len();
        judge_places(order.id, events.of(place), &mut verdict);
        let missed = judge_order(evidence, order, &told, &mut verdict);
        forgotten += u64::from(missed > 0);
    }
    let mut refusals = 0_u64;
    for (id, all) in events.of_strangers(evidence.orders.len()) {
        let told = each_once(id, all, &mut verdict);
        repeated += all.len() - told.len();
        refusals += u64::from(judge_stranger(evidence, id, &told, &mut verdict));
    }
    let mut forgotten_changes = 0_u64;
    for ((sku, id), change) in &evidence.stocks.adjustments {
        let is_told = judge_adjustment(
            evidence,
            &evidence.stocks.at(*sku).name,
            id,
            change,
            &mut verdict,
        );
        forgotten_changes += u64::from(!is_told);
    }
    for (sku, id) in &events.stock_reordered {
        let says = format!("its change '{id}' was told after a later one");
        verdict.breach_of_sku("reordered_events", &evidence.stocks.at(*sku).name, says);
    }
    for message in &events.unreadable {
        verdict.breach("unreadable_event", message.clone());
    }
    verdict.proof = vec![
        format!(
            "{} orders, each told by exactly its events, in their order: {} in Kafka, {} in the outbox, {repeated} of them twice",
            evidence.orders.len() as u64 - forgotten,
            events.in_kafka,
            evidence.in_flight.events,
        ),
        format!(
            "{} changes of stock and {refusals} refusals told",
            evidence.stocks.adjustments.len() as u64 - forgotten_changes
        ),
    ];
    if forgotten + forgotten_changes > 0 {
        verdict.not_judged.push(format!(
            "whether all was told of {forgotten} orders and {forgotten_changes} changes of stock, because {}: \
             Kafka has removed {} messages; what is left of them was checked",
            events.why_removed(),
            events.removed
        ));
    }
    verdict
}

/// The events without their repetitions, each of which must be as the first was.
fn each_once<'a>(order: Uuid, events: &'a [Event], verdict: &mut Verdict) -> Vec<&'a Event> {
    let mut once: Vec<&Event> = Vec::with_capacity(events.len());
    for event in events {
        match once.iter().find(|before| before.id == event.id) {
            None => once.push(event),
            Some(before) if before.digest == event.digest => {}
            Some(_) => {
                let says = format!("one of its {:?} was told twice, in two ways", event.kind);
                verdict.breach_of_order("told_in_two_ways", order, says);
            }
        }
    }
    once
}

/// Kafka keeps the order of one partition, and nobody that of two.
fn judge_places(order: Uuid, events: &[Event], verdict: &mut Verdict) {
    let mut places = events.iter().map(|event| event.partition);
    let mut in_kafka = places.by_ref().filter(|place| *place != OUTBOX);
    if let Some(first) = in_kafka.next()
        && let Some(other) = in_kafka.find(|place| *place != first)
    {
        let says = format!("its events are in the partitions {first} and {other}");
        verdict.breach_of_order("in_two_partitions", order, says);
    }
}

/// Answers how many of its first events Kafka may have removed.
fn judge_order(
    evidence: &Evidence,
    order: &Order,
    told: &[&Event],
    verdict: &mut Verdict,
) -> usize {
    let reason = evidence.orders.reason(order);
    let wanted = wanted_events(order, reason, was_returned(evidence, order));
    // Of an order that is this old, Kafka may have removed the first events.
    let may_miss = match order.created_ms <= evidence.events.horizon_ms(told) {
        true => wanted.len(),
        false => 0,
    };
    let missed = (0..=may_miss).find(|missed| is_told(&wanted, *missed, told));
    if missed.is_none() {
        let (kind, says) = difference(&wanted, told);
        verdict.breach_of_order(kind, order.id, format!("it is {}: {says}", order.status));
    }
    for event in told {
        if event.is_of_another {
            let says = format!("its {:?} has another id, or other lines", event.kind);
            verdict.breach_of_order("wrong_event", order.id, says);
        }
        let is_end = matches!(event.kind, Kind::OrderCancelled | Kind::OrderExpired);
        let given = evidence.orders.word(event.reason);
        if is_end && event.place != Place::Late && given != reason {
            let says = format!(
                "its {:?} says '{given}', and its row '{reason}'",
                event.kind
            );
            verdict.breach_of_order("wrong_event", order.id, says);
        }
    }
    missed.unwrap_or_default()
}

/// Judges what was told of an order that MySQL does not have, and answers whether it is a refusal
/// for stock: that has no row, and its two events may be lost.
fn judge_stranger(evidence: &Evidence, id: Uuid, told: &[&Event], verdict: &mut Verdict) -> bool {
    let kinds: Vec<Kind> = told.iter().map(|event| event.kind).collect();
    let is_waiting = told.iter().any(|event| event.place == Place::Waiting);
    let reasons = told
        .iter()
        .filter(|event| event.kind == Kind::OrderCancelled);
    let for_stock = reasons
        .clone()
        .all(|event| evidence.orders.word(event.reason) == "out_of_stock");
    let is_refusal = matches!(
        kinds[..],
        [Kind::SagaStarted, Kind::OrderCancelled] | [Kind::SagaStarted] | [Kind::OrderCancelled]
    );
    if is_refusal && for_stock && !is_waiting {
        return true;
    }
    let mut last = None;
    let is_new = told.iter().all(|event| {
        let follows = event.place == Place::Late && may_follow(last, event.kind);
        last = Some(event.kind);
        follows
    });
    if !is_new {
        let says = format!("MySQL has no such order, and told are {kinds:?}");
        verdict.breach_of_order("event_without_order", id, says);
    }
    false
}

/// A change is told once; one that was undone, by the change and its opposite. Answers whether
/// that can be told.
fn judge_adjustment(
    evidence: &Evidence,
    sku: &str,
    id: &str,
    change: &Adjustment,
    verdict: &mut Verdict,
) -> bool {
    // A return is told by its order's OrderCancelled.
    let is_told = |logged: &&Logged| !logged.is_return;
    let wanted = change.logged.as_ref().filter(is_told);
    let wanted = wanted.map_or(0, |logged| logged.delta);
    let all: i64 = change.told.iter().map(|told| told.delta).sum();
    let before = change.told.iter().filter(|told| !told.is_late);
    let before: i64 = before.map(|told| told.delta).sum();
    let is_old = match change.logged {
        Some(logged) => logged.created_ms <= evidence.events.horizon_ms(&[]),
        None => evidence.events.removed > 0,
    };
    let is_told = all == wanted || before == wanted;
    if is_told || is_old {
        return is_told;
    }
    let deltas: Vec<i64> = change.told.iter().map(|told| told.delta).collect();
    let (kind, says) = match (change.logged, deltas.is_empty()) {
        (Some(logged), true) => (
            "missing_event",
            format!("its change '{id}' by {} was not told", logged.delta),
        ),
        (Some(logged), false) => (
            "extra_event",
            format!(
                "its change '{id}' is by {}, and told are {deltas:?}",
                logged.delta
            ),
        ),
        (None, _) => (
            "event_without_change",
            format!("MySQL has no change '{id}', and told are {deltas:?}"),
        ),
    };
    verdict.breach_of_sku(kind, sku, says);
    true
}

fn was_returned(evidence: &Evidence, order: &Order) -> bool {
    let lines = evidence.orders.lines(order);
    lines.iter().any(|line| line.returned_rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::sample::{self, DECLINED, IN_FLIGHT, NOBODY, REFUSED, SALE};

    fn found(doctor: impl FnOnce(&mut Evidence)) -> Vec<(&'static str, u128)> {
        let mut evidence = sample::sound();
        doctor(&mut evidence);
        evidence.events.sort();
        let breaches = judge(&evidence).breaches;
        let order = |order: Option<Uuid>| order.map_or(0, |id| id.as_u128());
        breaches
            .iter()
            .map(|breach| (breach.kind, order(breach.order)))
            .collect()
    }

    /// Doctors the events of one order, of which there are some before and behind.
    fn with(id: Uuid, doctor: impl FnOnce(&mut Vec<Event>)) -> Vec<(&'static str, u128)> {
        found(|shop| {
            let place = shop.orders.find(id).expect("an order of the sample");
            let mut events = shop.events.of(place).to_vec();
            let first = shop
                .events
                .all_mut()
                .iter()
                .position(|event| *event == events[0]);
            let first = first.expect("its first event");
            let range = first..first + events.len();
            doctor(&mut events);
            shop.events.all_mut().splice(range, events);
        })
    }

    #[test]
    fn a_sound_shop_has_no_breach() {
        assert_eq!(found(|_| {}), []);
    }

    #[test]
    fn a_missing_event_is_found() {
        for place in 0..5 {
            let missing = with(SALE, |events| _ = events.remove(place));
            assert_eq!(missing, [("missing_event", 1)]);
        }
        assert_eq!(with(SALE, |events| events.clear()), [("missing_event", 1)]);
    }

    #[test]
    fn reordered_and_extra_events_are_found() {
        assert_eq!(
            with(SALE, |events| events.swap(2, 3)),
            [("reordered_events", 1)]
        );
        let extra = found(|shop| sample::tell(shop, SALE, &["OrderRefunded"], ""));
        assert_eq!(extra, [("extra_event", 1)]);
        let unknown = found(|shop| sample::tell(shop, SALE, &["Novelty"], ""));
        assert_eq!(unknown, [("extra_event", 1)]);
        let confirmed = found(|shop| {
            sample::tell(shop, IN_FLIGHT, &["PaymentProcessed", "OrderConfirmed"], "")
        });
        assert_eq!(confirmed, [("extra_event", 5)]);
    }

    #[test]
    fn an_event_may_come_twice_but_not_in_two_ways() {
        assert_eq!(with(SALE, |events| events.insert(3, events[1])), []);
        let other = with(SALE, |events| {
            let mut again = events[1];
            again.digest += 1;
            events.insert(3, again);
        });
        assert_eq!(other, [("told_in_two_ways", 1)]);
        let twice = with(SALE, |events| {
            let mut again = events[4];
            again.id += 1;
            events.push(again);
        });
        assert_eq!(twice, [("extra_event", 1)]);
    }

    #[test]
    fn events_of_one_order_in_two_partitions_are_found() {
        let second = with(SALE, |events| events[4].partition = 1);
        assert_eq!(second, [("in_two_partitions", 1)]);
        let repeated = with(SALE, |events| {
            let mut again = events[0];
            again.partition = 1;
            events.push(again);
        });
        assert_eq!(repeated, [("in_two_partitions", 1)]);
    }

    #[test]
    fn an_event_may_wait_in_the_outbox() {
        let wait = |events: &mut Vec<Event>| {
            (events[4].place, events[4].partition) = (Place::Waiting, OUTBOX);
        };
        assert_eq!(with(SALE, wait), []);
    }

    #[test]
    fn what_happened_since_mysql_was_read_is_no_breach_when_it_may_follow() {
        let since = |types: &[&str]| {
            found(|shop| {
                for event_type in types {
                    sample::tell_at(shop, IN_FLIGHT, event_type, "", Place::Late);
                }
            })
        };
        assert_eq!(since(&["PaymentProcessed", "OrderConfirmed"]), []);
        assert_eq!(since(&["PaymentFailed"]), []);
        assert_eq!(since(&["OrderConfirmed"]), [("extra_event", 5)]);
        let new = |types: &[&str]| {
            found(|shop| {
                for event_type in types {
                    sample::tell_at(shop, NOBODY, event_type, "", Place::Late);
                }
            })
        };
        assert_eq!(
            new(&["SagaStarted", "InventoryReserved", "OrderCreated"]),
            []
        );
        assert_eq!(new(&["OrderCreated"]), [("event_without_order", 7)]);
    }

    #[test]
    fn an_event_of_another_order_or_reason_is_found() {
        let another = with(SALE, |events| events[2].is_of_another = true);
        assert_eq!(another, [("wrong_event", 1)]);
        let reason = with(DECLINED, |events| events[5].reason = 0);
        assert_eq!(reason, [("wrong_event", 2)]);
        let lines = found(|shop| {
            sample::line_of(shop, IN_FLIGHT, 0).quantity = 2;
            sample::tell_at(shop, IN_FLIGHT, "PaymentFailed", "", Place::Late);
        });
        assert_eq!(lines, [("wrong_event", 5)]);
    }

    #[test]
    fn events_of_no_order_are_found_unless_they_tell_of_a_refusal() {
        let told = |types: &[&str], reason| found(|shop| sample::tell(shop, NOBODY, types, reason));
        assert_eq!(told(&["SagaStarted"], ""), []);
        assert_eq!(told(&["OrderCancelled"], "out_of_stock"), []);
        assert_eq!(
            told(&["OrderCancelled"], "sold_out"),
            [("event_without_order", 7)]
        );
        let sold = told(&["SagaStarted", "InventoryReserved", "OrderCreated"], "");
        assert_eq!(sold, [("event_without_order", 7)]);
        let swapped = told(&["OrderCancelled", "SagaStarted"], "out_of_stock");
        assert_eq!(swapped, [("event_without_order", 7)]);
        let waiting =
            found(|shop| sample::tell_at(shop, REFUSED, "InventoryReserved", "", Place::Waiting));
        assert_eq!(waiting, [("event_without_order", 6)]);
    }

    #[test]
    fn changes_of_stock_are_told_once() {
        let twice = found(|shop| sample::tell_stock(shop, "LAMP", "LAMP-put_in", 3));
        assert_eq!(twice, [("extra_event", 0)]);
        let unlogged = found(|shop| sample::tell_stock(shop, "LAMP", "nobody", 3));
        assert_eq!(unlogged, [("event_without_change", 0)]);
        let undone = found(|shop| {
            sample::tell_stock(shop, "LAMP", "nobody", 3);
            sample::tell_stock(shop, "LAMP", "nobody", -3);
        });
        assert_eq!(undone, []);
        let untold = found(|shop| {
            let changes = shop.stocks.adjustments.values_mut();
            changes.for_each(|change| change.told.clear());
        });
        assert_eq!(untold, [("missing_event", 0), ("missing_event", 0)]);
        let reordered = found(|shop| {
            sample::log(shop, 0, None, ("received", 5, 14));
            sample::log(shop, 0, None, ("counted", 6, 20));
            sample::tell_stock(shop, "LAMP", "LAMP-counted", 6);
            sample::tell_stock(shop, "LAMP", "LAMP-received", 5);
        });
        assert_eq!(reordered, [("reordered_events", 0)]);
    }

    #[test]
    fn what_kafka_removed_for_its_age_is_not_missed_and_the_rest_is() {
        let without = |count: usize, partition: i32, horizon_ms: i64| {
            let mut evidence = sample::sound();
            evidence.events.skip(partition, count as i64, horizon_ms);
            evidence.events.all_mut().drain(..count);
            let verdict = judge(&evidence);
            (verdict.broken, verdict.not_judged.join("; "))
        };
        for count in [2, 5] {
            let (broken, not_judged) = without(count, 0, 1000);
            assert_eq!(broken, 0);
            let wanted = "of 1 orders and 0 changes of stock, because the topic begins at 1970-01-01T00:00:01Z";
            assert!(not_judged.contains(wanted), "{not_judged}");
        }
        assert_eq!(without(2, 0, 999).0, 1);
        // Another partition's messages are no excuse, unless nothing says which one it was in.
        assert_eq!(without(2, 1, i64::MAX).0, 1);
        let (broken, not_judged) = without(5, 1, i64::MAX);
        assert_eq!(broken, 0);
        assert!(not_judged.contains("nothing is left"), "{not_judged}");
        let gap = with(SALE, |events| _ = events.remove(3));
        assert_eq!(gap, [("missing_event", 1)]);
    }
}
