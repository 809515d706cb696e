//! Which keys are to be told about now, and which later: the first change of a key at once, those that follow within
//! [`SPACING_MS`] together at its end, with what the key has become by then.
//!
//! Pure: times are passed in, in milliseconds of any clock that only goes forward. It remembers a key only for as long
//! as there may be more to tell of it, so at most those that changed within the last [`SPACING_MS`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The least time between two messages of one key: twenty a second.
pub(crate) const SPACING_MS: u64 = 50;

/// The keys that were told about last.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    /// Whether each has changed since, by database.
    changed: BTreeMap<i32, BTreeMap<Arc<[u8]>, bool>>,
    /// When each may be told about again, earliest first.
    next: VecDeque<(u64, i32, Arc<[u8]>)>,
}

impl Updates {
    pub(crate) const fn new() -> Self {
        Self {
            changed: BTreeMap::new(),
            next: VecDeque::new(),
        }
    }

    /// The key has changed. True if it is to be told about now.
    pub(crate) fn change(&mut self, db: i32, key: &[u8], now_ms: u64) -> bool {
        let keys = self.changed.entry(db).or_default();
        if let Some(changed) = keys.get_mut(key) {
            *changed = true;
            return false;
        }
        let key: Arc<[u8]> = key.into();
        keys.insert(Arc::clone(&key), false);
        self.next.push_back((now_ms + SPACING_MS, db, key));
        true
    }

    /// A key that is to be told about now.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<(i32, Arc<[u8]>)> {
        while self.next_ms()? <= now_ms {
            let (_, db, key) = self.next.pop_front()?;
            let keys = self.changed.entry(db).or_default();
            match keys.get_mut(&key) {
                Some(changed) if *changed => {
                    *changed = false;
                    let again_ms = now_ms + SPACING_MS;
                    self.next.push_back((again_ms, db, Arc::clone(&key)));
                    return Some((db, key));
                }
                _ => drop(keys.remove(&key)),
            }
        }
        None
    }

    /// When to look for such keys next.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next.front().map(|(at_ms, ..)| *at_ms)
    }

    /// How many keys it remembers.
    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }

    /// Nobody is to be told any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Two databases changed places.
    pub(crate) fn swap(&mut self, one: i32, other: i32) {
        let was_one = self.changed.remove(&one).map(|keys| (other, keys));
        let was_other = self.changed.remove(&other).map(|keys| (one, keys));
        self.changed.extend(was_one.into_iter().chain(was_other));
        for (_, db, _) in &mut self.next {
            if *db == one {
                *db = other;
            } else if *db == other {
                *db = one;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes the keys at the given times and returns when each was told about.
    fn told(changes: &[(u64, &str)]) -> Vec<(u64, String)> {
        let (mut updates, mut told) = (Updates::new(), Vec::new());
        let end = changes.iter().map(|(at_ms, _)| *at_ms).max().unwrap_or(0) + 200;
        for now_ms in 0..=end {
            while let Some((_, key)) = updates.pop(now_ms) {
                told.push((now_ms, key.escape_ascii().to_string()));
            }
            for (_, key) in changes.iter().filter(|(at_ms, _)| *at_ms == now_ms) {
                if updates.change(0, key.as_bytes(), now_ms) {
                    told.push((now_ms, (*key).to_owned()));
                }
            }
        }
        assert!(updates.changed.values().all(BTreeMap::is_empty) && updates.len() == 0);
        told
    }

    #[test]
    fn the_first_change_is_told_at_once_and_the_last_in_the_end() {
        let at = |at_ms: u64, key: &str| (at_ms, key.to_owned());
        assert_eq!(told(&[(10, "a")]), [at(10, "a")]);
        assert_eq!(
            told(&[(10, "a"), (11, "a"), (59, "a")]),
            [at(10, "a"), at(60, "a")]
        );
        assert_eq!(told(&[(10, "a"), (60, "a")]), [at(10, "a"), at(60, "a")]);
        assert_eq!(
            told(&[(10, "a"), (20, "b"), (30, "a"), (30, "b")]),
            [at(10, "a"), at(20, "b"), at(60, "a"), at(70, "b")]
        );
    }

    #[test]
    fn no_key_is_told_about_more_than_twenty_times_a_second() {
        let changes: Vec<_> = (0..3_000).map(|at_ms| (at_ms, "a")).collect();
        let told = told(&changes);
        for (start, _) in &told {
            let within = told
                .iter()
                .filter(|(at_ms, _)| (*start..start + 1_000).contains(at_ms));
            assert!(within.count() <= 20);
        }
        assert_eq!(told.len(), 61);
    }

    #[test]
    fn what_waits_goes_with_its_database() {
        let mut updates = Updates::new();
        assert!(updates.change(0, b"a", 0));
        assert!(!updates.change(0, b"a", 1));
        updates.swap(0, 4);
        assert!(updates.change(0, b"a", 2));
        assert_eq!(updates.pop(50), Some((4, b"a".as_slice().into())));
        updates.clear();
        assert_eq!(updates.pop(1_000), None);
    }
}
