//! Kafka: one log a key, at least once.

use super::mysql::{Event, Key};

/// What was delivered, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kafka {
    delivered: Vec<Event>,
}

impl Kafka {
    /// Takes an event.
    pub fn deliver(&mut self, event: Event) {
        self.delivered.push(event);
    }

    /// Each event of a key once, in the order in which it was first seen: what a consumer that
    /// drops repetitions has.
    pub fn consumed(&self, key: Key) -> Vec<Event> {
        let mut seen = Vec::new();
        for event in self.delivered.iter().filter(|event| event.key == key) {
            if !seen.contains(event) {
                seen.push(*event);
            }
        }
        seen
    }
}
