//! Which key is to be looked at when: one time a key, ordered by time, for every database of this node.
//!
//! A schedule is a hint and is never believed: a key is looked at when its time comes, and may by then be gone, changed
//! or of another type. So it is enough that a time is never too late.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Times in Unix milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    databases: BTreeMap<i32, Times>,
    /// The database whose turn is over: the next ones come first.
    served: i32,
}

#[derive(Debug, Default)]
struct Times {
    by_time: BTreeSet<(u64, Arc<[u8]>)>,
    by_key: BTreeMap<Arc<[u8]>, u64>,
    /// Keys from this one on are to be looked at once whatever their time.
    again_from: Option<Arc<[u8]>>,
}

impl Schedule {
    pub(crate) const fn new() -> Self {
        Self {
            databases: BTreeMap::new(),
            served: 0,
        }
    }

    /// Notes that the key is to be looked at; an earlier time that is known stands.
    pub(crate) fn note(&mut self, db: i32, key: &[u8], at_ms: u64) {
        let times = self.databases.entry(db).or_default();
        match times.by_key.get_key_value(key) {
            Some((_, known_ms)) if *known_ms <= at_ms => {}
            Some((key, _)) => {
                let key = Arc::clone(key);
                times.remove(&key);
                times.insert(key, at_ms);
            }
            None => times.insert(key.into(), at_ms),
        }
    }

    /// Notes that the key has left.
    pub(crate) fn forget(&mut self, db: i32, key: &[u8]) {
        if let Some(times) = self.databases.get_mut(&db) {
            times.remove(key);
        }
    }

    /// Takes out the key whose time came first. The databases take turns.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<(i32, Arc<[u8]>)> {
        let turns = [
            (Bound::Excluded(self.served), Bound::Unbounded),
            (Bound::Unbounded, Bound::Included(self.served)),
        ];
        for turn in turns {
            for (db, times) in self.databases.range_mut(turn) {
                if let Some(key) = times.pop(now_ms) {
                    self.served = *db;
                    return Some((*db, key));
                }
            }
        }
        None
    }

    /// The keys whose time has come, at most `limit` of each database.
    pub(crate) fn due(&self, now_ms: u64, limit: usize) -> Vec<(i32, Arc<[u8]>)> {
        let due = self.databases.iter().flat_map(|(db, times)| {
            let due = times.by_time.iter().take(limit);
            due.take_while(|(at_ms, _)| *at_ms <= now_ms)
                .map(|(_, key)| (*db, Arc::clone(key)))
        });
        due.collect()
    }

    /// The earliest time of all, and its key.
    pub(crate) fn first(&self) -> Option<(u64, i32, Arc<[u8]>)> {
        let firsts = self.databases.iter().filter_map(|(db, times)| {
            let (at_ms, key) = times.by_time.first()?;
            Some((*at_ms, *db, key))
        });
        firsts
            .min_by_key(|(at_ms, ..)| *at_ms)
            .map(|(at_ms, db, key)| (at_ms, db, Arc::clone(key)))
    }

    /// Has every key looked at once more, a few at each look: times that were noted may now be too late.
    pub(crate) fn look_again(&mut self) {
        for times in self.databases.values_mut() {
            times.again_from = Some(Arc::from([]));
        }
    }

    /// Forgets a database, or all.
    pub(crate) fn clear(&mut self, db: Option<i32>) {
        let gone: Vec<_> = match db {
            Some(db) => self.databases.remove(&db).into_iter().collect(),
            None => std::mem::take(&mut self.databases).into_values().collect(),
        };
        drop_aside(gone);
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, one: i32, other: i32) {
        let (was_one, was_other) = (self.databases.remove(&one), self.databases.remove(&other));
        self.databases.extend(was_one.map(|times| (other, times)));
        self.databases.extend(was_other.map(|times| (one, times)));
    }
}

impl Times {
    fn insert(&mut self, key: Arc<[u8]>, at_ms: u64) {
        self.by_time.insert((at_ms, Arc::clone(&key)));
        self.by_key.insert(key, at_ms);
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, at_ms)) = self.by_key.remove_entry(key) {
            self.by_time.remove(&(at_ms, key));
        }
    }

    fn pop(&mut self, now_ms: u64) -> Option<Arc<[u8]>> {
        let due = self.by_time.first().filter(|(at_ms, _)| *at_ms <= now_ms);
        let key = match due {
            Some((_, key)) => Arc::clone(key),
            None => self.next_again()?,
        };
        self.remove(&key);
        Some(key)
    }

    /// The next key of those that are to be looked at once more.
    fn next_again(&mut self) -> Option<Arc<[u8]>> {
        let from = self.again_from.take()?;
        let mut rest = self
            .by_key
            .range::<[u8], _>((Bound::Included(&*from), Bound::Unbounded))
            .map(|(key, _)| Arc::clone(key));
        let key = rest.next()?;
        self.again_from = rest.next();
        Some(key)
    }
}

/// Drops many times on a thread of their own: a million of them would stop the server for tens of milliseconds.
fn drop_aside(gone: Vec<Times>) {
    const FEW: usize = 10_000;
    if gone.iter().map(|times| times.by_key.len()).sum::<usize>() > FEW {
        // Should there be no thread, the closure comes back in the error and is dropped here.
        let _ = std::thread::Builder::new().spawn(move || drop(gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(schedule: &mut Schedule, now_ms: u64) -> Vec<(i32, String)> {
        std::iter::from_fn(|| schedule.pop(now_ms))
            .map(|(db, key)| (db, key.escape_ascii().to_string()))
            .collect()
    }

    #[test]
    fn the_earliest_time_stands_and_each_key_comes_once() {
        let mut schedule = Schedule::new();
        schedule.note(0, b"a", 300);
        schedule.note(0, b"a", 100);
        schedule.note(0, b"a", 200);
        schedule.note(3, b"b\0", 150);
        assert_eq!(schedule.first().map(|(at_ms, ..)| at_ms), Some(100));
        assert_eq!(schedule.due(150, 9).len(), 2);
        assert_eq!(popped(&mut schedule, 99), []);
        assert_eq!(
            popped(&mut schedule, 150),
            [(3, "b\\x00".to_owned()), (0, "a".to_owned())]
        );
        assert_eq!(popped(&mut schedule, u64::MAX), []);
    }

    #[test]
    fn databases_take_turns() {
        let mut schedule = Schedule::new();
        for key in [b"a", b"b", b"c"] {
            schedule.note(0, key, 1);
            schedule.note(7, key, 100);
        }
        let dbs: Vec<_> = popped(&mut schedule, 200)
            .iter()
            .map(|(db, _)| *db)
            .collect();
        assert_eq!(dbs, [7, 0, 7, 0, 7, 0]);
    }

    #[test]
    fn swapped_flushed_and_forgotten_keys_are_followed() {
        let mut schedule = Schedule::new();
        schedule.note(0, b"a", 1);
        schedule.note(1, b"b", 2);
        schedule.note(5, b"c", 2);
        schedule.forget(5, b"c");
        schedule.swap(0, 5);
        assert_eq!(popped(&mut schedule, 1), [(5, "a".to_owned())]);
        schedule.clear(Some(1));
        assert_eq!(popped(&mut schedule, 9), []);
        schedule.note(0, b"a", 1);
        schedule.clear(None);
        assert_eq!(popped(&mut schedule, 9), []);
    }

    #[test]
    fn all_are_looked_at_again_once_each() {
        let mut schedule = Schedule::new();
        for key in 0..100_u8 {
            schedule.note(key.into(), &[key % 3], 1_000);
            schedule.note(2, &[key], 1_000);
        }
        schedule.look_again();
        let mut looked_at = Vec::new();
        while let Some((db, key)) = schedule.pop(10) {
            schedule.note(db, &key, 2_000);
            looked_at.push((db, key));
        }
        looked_at.sort();
        looked_at.dedup();
        assert_eq!(looked_at.len(), 199);
        assert_eq!(schedule.pop(1_999), None);
        assert_eq!(popped(&mut schedule, 2_000).len(), 199);
    }
}
