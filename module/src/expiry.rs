//! When holds fall due: an index of deadlines for this node, and the sweep that goes by it.
//!
//! The index has one entry a key: when something falls due there next. It is a hint, and is never believed: a key is
//! looked at when its entry comes due, and may by then be gone, changed or of another type. So it is enough that an
//! entry is never too late, and keys that leave need not be reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_stock::{Ledger, Retention};

use crate::commands::stock;
use crate::ffi::{Arg, Context, Name};

/// How often the sweep looks, in milliseconds.
pub(crate) const TICK_MS: i64 = 100;

/// How soon it looks again when it could not finish, in milliseconds.
const BUSY_TICK_MS: i64 = 5;

/// For how long it may keep the server busy at a time.
const SLICE: Duration = Duration::from_millis(2);

/// Holds that are expired in one effect, and memories dropped in one: well below a slice.
const BATCH: usize = 256;

static INDEX: Mutex<Index> = Mutex::new(Index {
    databases: BTreeMap::new(),
});

/// The deadlines of all databases.
#[derive(Debug, Default)]
pub(crate) struct Index {
    databases: BTreeMap<i32, Deadlines>,
}

#[derive(Debug, Default)]
struct Deadlines {
    by_time: BTreeSet<(u64, Arc<[u8]>)>,
    by_key: BTreeMap<Arc<[u8]>, u64>,
}

/// The index. Only the server's main thread uses it, so the lock is always free.
pub(crate) fn index() -> MutexGuard<'static, Index> {
    INDEX.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes when something falls due next in this ledger, which is under `key` in the selected database.
pub(crate) fn note(db: i32, key: &[u8], ledger: &Ledger) {
    if let Some(at_ms) = ledger.next_event_ms(&Retention::default()) {
        index().note(db, key, at_ms);
    }
}

/// Looks at a key that has arrived, and notes its deadlines if it is stock.
pub(crate) fn learn(context: &Context, key: &Arg<'_>) {
    if let Ok(Some(ledger)) = context.open(key).value::<Ledger>() {
        note(context.selected_db(), key.bytes(), ledger);
    }
}

/// Expires what is due, for a slice of time, and returns in how many milliseconds to look again.
pub(crate) fn tick(context: &mut Context) -> i64 {
    let now_ms = context.now_ms();
    let began = Instant::now();
    while context.may_write_unasked() {
        let Some((db, key)) = index().pop_due(now_ms) else {
            return TICK_MS;
        };
        if let (Some(name), true) = (Name::new(&key), context.select_db(db)) {
            sweep(context, db, &name.arg(), now_ms);
        }
        if began.elapsed() >= SLICE {
            return BUSY_TICK_MS;
        }
    }
    TICK_MS
}

/// Expires and forgets one batch of what is due under the key, and notes when it is to be looked at again.
fn sweep(context: &mut Context, db: i32, key: &Arg<'_>, now_ms: u64) {
    let effects: Vec<_> = match context.open(key).value::<Ledger>() {
        Ok(Some(ledger)) => {
            let forgotten = ledger.forgettable(&Retention::default(), now_ms, BATCH);
            let effects: Vec<_> = ledger
                .overdue(now_ms, BATCH)
                .into_iter()
                .chain(forgotten)
                .collect();
            if effects.is_empty() {
                note(db, key.bytes(), ledger);
            }
            effects
        }
        Ok(None) | Err(_) => return,
    };
    if !effects.is_empty() {
        // A failure is logged there, and leaves the key to the next command that changes it.
        let _ = stock::change(context, key, &effects);
    }
}

impl Index {
    /// Notes that something falls due under the key; an earlier time that is known stands.
    fn note(&mut self, db: i32, key: &[u8], at_ms: u64) {
        let deadlines = self.databases.entry(db).or_default();
        match deadlines
            .by_key
            .get_key_value(key)
            .map(|(key, known_ms)| (Arc::clone(key), *known_ms))
        {
            Some((_, known_ms)) if known_ms <= at_ms => {}
            Some((key, known_ms)) => {
                deadlines.by_time.remove(&(known_ms, Arc::clone(&key)));
                deadlines.by_time.insert((at_ms, Arc::clone(&key)));
                deadlines.by_key.insert(key, at_ms);
            }
            None => {
                let key: Arc<[u8]> = key.into();
                deadlines.by_time.insert((at_ms, Arc::clone(&key)));
                deadlines.by_key.insert(key, at_ms);
            }
        }
    }

    /// Takes out the key that is due longest, of the first database that has one.
    fn pop_due(&mut self, now_ms: u64) -> Option<(i32, Arc<[u8]>)> {
        let due = |deadlines: &Deadlines| {
            deadlines
                .by_time
                .first()
                .is_some_and(|(at_ms, _)| *at_ms <= now_ms)
        };
        let (db, deadlines) = self
            .databases
            .iter_mut()
            .find(|(_, deadlines)| due(deadlines))?;
        let (_, key) = deadlines.by_time.pop_first()?;
        deadlines.by_key.remove(&key);
        Some((*db, key))
    }

    /// Forgets a database, or all.
    pub(crate) fn clear(&mut self, db: Option<i32>) {
        match db {
            Some(db) => drop(self.databases.remove(&db)),
            None => self.databases.clear(),
        }
    }

    /// Exchanges two databases.
    pub(crate) fn swap(&mut self, one: i32, other: i32) {
        let (was_one, was_other) = (self.databases.remove(&one), self.databases.remove(&other));
        self.databases
            .extend(was_one.map(|deadlines| (other, deadlines)));
        self.databases
            .extend(was_other.map(|deadlines| (one, deadlines)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_stands_and_each_key_comes_once() {
        let mut index = Index::default();
        index.note(0, b"a", 300);
        index.note(0, b"a", 100);
        index.note(0, b"a", 200);
        index.note(3, b"b\0", 150);
        assert_eq!(index.pop_due(99), None);
        assert_eq!(index.pop_due(150), Some((0, b"a".as_slice().into())));
        assert_eq!(index.pop_due(150), Some((3, b"b\0".as_slice().into())));
        assert_eq!(index.pop_due(u64::MAX), None);
    }

    #[test]
    fn swapped_and_flushed_databases_take_their_deadlines_along() {
        let mut index = Index::default();
        index.note(0, b"a", 1);
        index.note(1, b"b", 2);
        index.swap(0, 5);
        assert_eq!(index.pop_due(1), Some((5, b"a".as_slice().into())));
        index.clear(Some(1));
        assert_eq!(index.pop_due(9), None);
    }
}
