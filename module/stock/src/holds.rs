//! The live holds of a ledger, and the orders in which they are looked up.

use std::cell::Cell;

use crate::chunks::{Chunks, Entry, Renew};
use crate::packed::{Kind, Packed};

/// The live holds by their number, which is the ledger's `seq` when they were taken: their order of age. All the rest
/// is derived from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    by_age: Chunks<Packed>,
    by_deadline: Chunks<Timed>,
    by_preparation: Chunks<Timed>,
    units: u64,
    prepared_units: u64,
    due: Cell<Due>,
}

/// What was past due when it was last asked for, kept up with every change since: with a million holds due that the
/// sweep has not reached, adding them up takes longer than a command.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    at_ms: u64,
    units: u64,
    holds: usize,
}

/// Where a hold stands in an order of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) time_ms: u64,
    pub(crate) number: u64,
    pub(crate) quantity: u64,
}

impl Entry for Timed {
    type Key = (u64, u64);

    fn key(&self) -> (u64, u64) {
        (self.time_ms, self.number)
    }

    fn weight(&self) -> u64 {
        self.quantity
    }
}

impl PartialEq for Holds {
    fn eq(&self, other: &Self) -> bool {
        self.by_age == other.by_age
    }
}

impl Holds {
    pub(crate) fn get(&self, number: u64) -> Option<&Packed> {
        self.by_age.get(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Packed> {
        self.by_age.iter()
    }

    /// Those younger than the hold with this number.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Packed> {
        self.by_age.after(number)
    }

    /// How many there are, those past due included.
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Units held, those past due included.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// How many are prepared.
    pub(crate) fn prepared(&self) -> usize {
        self.by_preparation.len()
    }

    pub(crate) fn prepared_units(&self) -> u64 {
        self.prepared_units
    }

    /// Units and holds that are past due.
    pub(crate) fn due(&self, now_ms: u64) -> (u64, usize) {
        let mut due = self.due.get();
        if due.at_ms != now_ms {
            if due.at_ms > now_ms {
                due = Due::default();
            }
            let counted_to = (due.at_ms, u64::MAX);
            let (units, holds) = self.by_deadline.sum(counted_to, (now_ms, u64::MAX));
            due.units += units;
            due.holds += holds;
            due.at_ms = now_ms;
            self.due.set(due);
        }
        (due.units, due.holds)
    }

    /// The holds that are past due, earliest deadline first.
    pub(crate) fn overdue(&self, now_ms: u64) -> impl Iterator<Item = &Timed> {
        (self.by_deadline.iter()).take_while(move |hold| hold.time_ms <= now_ms)
    }

    /// The earliest deadline in Unix milliseconds.
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        self.by_deadline.first().map(|hold| hold.time_ms)
    }

    /// The prepared holds, longest prepared first.
    pub(crate) fn by_preparation(&self) -> impl Iterator<Item = &Timed> {
        self.by_preparation.iter()
    }

    /// Units of the holds younger than the one with this number, without those past due: all of them, or at least
    /// `enough`.
    pub(crate) fn younger_units(&self, number: u64, enough: u64, now_ms: u64) -> u64 {
        // Those past due may be a million that the sweep has not reached, or the younger ones be a million of which few
        // are enough.
        if self.due(now_ms).1 as u64 <= enough {
            let due = self.overdue(now_ms).filter(|hold| hold.number > number);
            let due: u64 = due.map(|hold| hold.quantity).sum();
            return self.by_age.sum(number, u64::MAX).0 - due;
        }
        let mut units = 0;
        for hold in self.after(number).filter(|hold| !hold.is_due(now_ms)) {
            units += hold.quantity;
            if units >= enough {
                break;
            }
        }
        units
    }

    pub(crate) fn insert(&mut self, hold: Packed) {
        self.units += hold.quantity;
        self.index(&hold);
        self.by_age.insert(hold);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Packed> {
        let hold = self.by_age.remove(number)?;
        self.units -= hold.quantity;
        self.unindex(&hold);
        Some(hold)
    }

    pub(crate) fn set_state(&mut self, number: u64, kind: Kind, time_ms: u64) {
        let Some(hold) = self.by_age.get_mut(number) else {
            return;
        };
        let before = *hold;
        let after = before.with(kind, time_ms);
        *hold = after;
        self.unindex(&before);
        self.index(&after);
    }

    /// Its memory in bytes beyond `Self`.
    pub(crate) fn memory(&self) -> usize {
        self.by_age.memory() + self.by_deadline.memory() + self.by_preparation.memory()
    }

    pub(crate) fn parts(&mut self) -> [&mut dyn Renew; 3] {
        [
            &mut self.by_age,
            &mut self.by_deadline,
            &mut self.by_preparation,
        ]
    }

    pub(crate) fn chunks(&self) -> usize {
        self.by_age.chunks() + self.by_deadline.chunks() + self.by_preparation.chunks()
    }

    fn index(&mut self, hold: &Packed) {
        let timed = Timed::of(hold);
        if hold.kind() == Kind::Prepared {
            self.prepared_units += hold.quantity;
            self.by_preparation.insert(timed);
        } else {
            self.by_deadline.insert(timed);
            let due = self.due.get_mut();
            if timed.time_ms <= due.at_ms {
                due.units += timed.quantity;
                due.holds += 1;
            }
        }
    }

    fn unindex(&mut self, hold: &Packed) {
        let timed = Timed::of(hold);
        if hold.kind() == Kind::Prepared {
            self.prepared_units -= hold.quantity;
            self.by_preparation.remove(timed.key());
        } else {
            self.by_deadline.remove(timed.key());
            let due = self.due.get_mut();
            if timed.time_ms <= due.at_ms {
                due.units -= timed.quantity;
                due.holds -= 1;
            }
        }
    }
}

impl Timed {
    fn of(hold: &Packed) -> Self {
        Self {
            time_ms: hold.time_ms(),
            number: hold.number,
            quantity: hold.quantity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    fn hold(number: u64, quantity: u64, deadline_ms: u64) -> Packed {
        let id = Id::new(&number.to_be_bytes()).unwrap();
        Packed::new(number, &id, quantity, Kind::Held, deadline_ms)
    }

    #[test]
    fn what_is_due_is_counted_whichever_way_the_clock_moves() {
        let mut holds = Holds::default();
        for number in 1..=10 {
            holds.insert(hold(number, number, number * 100));
        }
        assert_eq!(holds.due(99), (0, 0));
        assert_eq!(holds.due(300), (1 + 2 + 3, 3));
        holds.remove(2);
        holds.remove(4);
        assert_eq!(holds.due(300), (4, 2));
        holds.insert(hold(11, 50, 250));
        holds.insert(hold(12, 4, 400));
        assert_eq!(holds.due(300), (54, 3));
        assert_eq!(holds.due(150), (1, 1));
        assert_eq!(holds.due(1_000), (53 + 50, 10));
    }

    #[test]
    fn younger_units_are_counted_without_those_past_due() {
        let mut holds = Holds::default();
        for number in 1..=4 {
            holds.insert(hold(number, 10 * number, 1_000 - number));
        }
        holds.set_state(4, Kind::Prepared, 500);
        let counted = |enough, now_ms| {
            [0, 1, 2, 3, 4].map(|number| holds.younger_units(number, enough, now_ms))
        };
        for enough in [1, 1_000] {
            assert_eq!(counted(enough, 0), [100, 90, 70, 40, 0]);
            assert_eq!(counted(enough, 997), [70, 60, 40, 40, 0]);
        }
        assert_eq!(counted(1_000, 2_000), [40, 40, 40, 40, 0]);
        assert_eq!(counted(1, 998), [10, 40, 40, 40, 0]);
        assert_eq!((holds.units(), holds.prepared_units()), (100, 40));
    }
}
