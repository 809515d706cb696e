//! Whether events that were put into the outbox are all in Kafka, and in order per key: judged by ids alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::saga_events::SagaEvent;

/// What is wrong with what arrived; nothing when all is well. `sent` are the ids of each key's events in their order.
///
/// An event may arrive again at any time, since delivery is at least once. Its first arrival must come after the first
/// arrival of every earlier event of its key.
pub fn faults(sent: &BTreeMap<String, Vec<String>>, arrived: &[SagaEvent]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut firsts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in arrived.iter().filter(|event| sent.contains_key(&event.key)) {
        if seen.insert(&event.id) {
            firsts.entry(&event.key).or_default().push(&event.id);
        }
    }
    let mut faults = Vec::new();
    for (key, ids) in sent {
        let arrived = firsts.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        let lost: Vec<_> = ids
            .iter()
            .filter(|id| !arrived.contains(&id.as_str()))
            .collect();
        if !lost.is_empty() {
            faults.push(format!("{key}: lost {lost:?}"));
        } else if arrived != ids {
            faults.push(format!("{key}: came as {arrived:?}, not as {ids:?}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(arrived: &[&str]) -> Vec<String> {
        let sent = BTreeMap::from([("a".to_owned(), ["a1", "a2", "a3"].map(str::to_owned).into())]);
        let event = |id: &&str| SagaEvent {
            key: id[..1].to_owned(),
            event_type: "OrderCreated".to_owned(),
            id: (*id).to_owned(),
            body: serde_json::Value::Null,
        };
        let arrived: Vec<SagaEvent> = arrived.iter().map(event).collect();
        faults(&sent, &arrived)
    }

    #[test]
    fn what_is_in_order_or_repeated_is_no_fault() {
        assert!(judged(&["a1", "b1", "a2", "a3"]).is_empty());
        assert!(judged(&["a1", "a2", "a1", "a2", "a3", "a1"]).is_empty());
    }

    #[test]
    fn a_doctored_sequence_is_found() {
        assert!(judged(&["a2", "a1", "a3"])[0].contains("came as"));
        assert!(judged(&["a1", "a3", "a1", "a2", "a3"])[0].contains("came as"));
        assert!(judged(&["a1", "a3"])[0].contains("lost [\"a2\"]"));
        assert!(judged(&[])[0].contains("lost"));
        assert!(judged(&["a1", "a2", "a3", "a4"])[0].contains("came as"));
    }
}
