//! The live holds of a ledger, and the orders in which they are looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::due::{Deadlines, Due};
use crate::hold::{Hold, State};
use crate::shortfall::Shortfall;

/// The live holds by their number, which is the ledger's `seq` when they were taken: their order of age.
///
/// All the rest is derived from them. Trees and not hash tables, because a hash table that doubles at a
/// million entries stops the server for 60 ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    by_age: BTreeMap<u64, Hold>,
    deadlines: Deadlines,
    prepared: BTreeSet<(u64, u64)>,
    units: u64,
    prepared_units: u64,
    due: Due,
    shortfall: Shortfall,
    id_bytes: usize,
}

impl PartialEq for Holds {
    fn eq(&self, other: &Self) -> bool {
        self.by_age == other.by_age
    }
}

impl Holds {
    pub(crate) fn get(&self, number: u64) -> Option<&Hold> {
        self.by_age.get(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Hold)> {
        self.by_age.iter().map(|(&number, hold)| (number, hold))
    }

    /// Those younger than the hold with this number.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = (u64, Hold)> {
        (self
            .by_age
            .range((Bound::Excluded(number), Bound::Unbounded)))
        .map(|(&number, hold)| (number, hold.clone()))
    }

    /// How many there are, those past due included.
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Units held, those past due included.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    pub(crate) fn prepared_units(&self) -> u64 {
        self.prepared_units
    }

    /// Units and holds that are past due.
    pub(crate) fn due(&self, now_ms: u64) -> (u64, u64) {
        self.due.count(&self.deadlines, now_ms)
    }

    /// The holds with a deadline, earliest first, as (deadline, number, units).
    pub(crate) fn by_deadline(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.deadlines
            .iter()
            .map(|(&(deadline_ms, number), &units)| (deadline_ms, number, units))
    }

    /// The prepared holds, longest prepared first, as (since, number).
    pub(crate) fn by_preparation(&self) -> impl Iterator<Item = (u64, u64)> {
        self.prepared.iter().copied()
    }

    /// Units of the hold that the count does not cover.
    pub(crate) fn missing_from(&self, number: u64, quantity: u64) -> u64 {
        self.shortfall.of(number, quantity)
    }

    /// Units that the count does not cover, in all.
    #[cfg(test)]
    pub(crate) fn missing(&self) -> u64 {
        self.shortfall.missing()
    }

    pub(crate) fn insert(&mut self, number: u64, hold: Hold) {
        self.units += hold.quantity;
        self.id_bytes += hold.id.heap_bytes();
        self.shortfall.added(number, hold.quantity);
        self.index(number, hold.state, hold.quantity);
        self.by_age.insert(number, hold);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Hold> {
        let hold = self.by_age.remove(&number)?;
        self.units -= hold.quantity;
        self.id_bytes -= hold.id.heap_bytes();
        self.shortfall.removed(number, hold.quantity);
        self.unindex(number, hold.state, hold.quantity);
        Some(hold)
    }

    pub(crate) fn set_state(&mut self, number: u64, state: State) {
        let Some(hold) = self.by_age.get_mut(&number) else {
            return;
        };
        let (before, quantity) = (hold.state, hold.quantity);
        hold.state = state;
        self.unindex(number, before, quantity);
        self.index(number, state, quantity);
    }

    /// To be called after every change of the holds or of the count.
    pub(crate) fn settle(&mut self, on_hand: u64) {
        self.shortfall
            .settle(self.units.saturating_sub(on_hand), &self.by_age);
    }

    /// An estimate of the memory beyond `Self`, in bytes.
    pub(crate) fn memory(&self) -> usize {
        // Measured fill of a tree whose keys mostly arrive in order: six of eleven places.
        const PER_HOLD: usize = 2 * (size_of::<(u64, Hold)>() + size_of::<((u64, u64), u64)>());
        self.by_age.len() * PER_HOLD + self.id_bytes
    }

    fn index(&mut self, number: u64, state: State, quantity: u64) {
        match state {
            State::Held { deadline_ms } => {
                self.deadlines.insert((deadline_ms, number), quantity);
                self.due.added(deadline_ms, quantity);
            }
            State::Prepared { since_ms } => {
                self.prepared.insert((since_ms, number));
                self.prepared_units += quantity;
            }
        }
    }

    fn unindex(&mut self, number: u64, state: State, quantity: u64) {
        match state {
            State::Held { deadline_ms } => {
                self.deadlines.remove(&(deadline_ms, number));
                self.due.removed(deadline_ms, quantity);
            }
            State::Prepared { since_ms } => {
                self.prepared.remove(&(since_ms, number));
                self.prepared_units -= quantity;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    fn hold(id: u64, quantity: u64, deadline_ms: u64) -> Hold {
        Hold {
            id: Id::new(&id.to_be_bytes()).unwrap(),
            quantity,
            state: State::Held { deadline_ms },
        }
    }

    #[test]
    fn what_is_due_is_counted_whichever_way_the_clock_moves() {
        let mut holds = Holds::default();
        for number in 1..=10 {
            holds.insert(number, hold(number, number, number * 100));
        }
        assert_eq!(holds.due(99), (0, 0));
        assert_eq!(holds.due(300), (1 + 2 + 3, 3));
        holds.remove(2);
        assert_eq!(holds.due(300), (4, 2));
        holds.insert(11, hold(11, 50, 250));
        assert_eq!(holds.due(300), (54, 3));
        assert_eq!(holds.due(150), (1, 1));
        assert_eq!(holds.due(1_000), (53 + 50, 10));
    }

    #[test]
    fn the_youngest_holds_are_short_and_the_oldest_are_covered_first() {
        let mut holds = Holds::default();
        for number in 1..=4 {
            holds.insert(number, hold(number, 10, 1_000));
        }
        let short = |holds: &Holds| {
            (1..=4)
                .map(|n| holds.missing_from(n, 10))
                .collect::<Vec<_>>()
        };
        holds.settle(40);
        assert_eq!(short(&holds), [0, 0, 0, 0]);
        holds.settle(15);
        assert_eq!(short(&holds), [0, 5, 10, 10]);
        holds.settle(22);
        assert_eq!(short(&holds), [0, 0, 8, 10]);
        holds.remove(1);
        holds.settle(22);
        assert_eq!(holds.missing(), 8);
        assert_eq!(
            (holds.missing_from(3, 10), holds.missing_from(4, 10)),
            (0, 8)
        );
        holds.settle(0);
        assert_eq!(holds.missing_from(2, 10), 10);
        holds.settle(30);
        assert_eq!(holds.missing(), 0);
        assert_eq!(holds.missing_from(4, 10), 0);
    }
}
