//! When holds fall due: what this node has to look at and when, and the sweep that goes by it.
//!
//! The schedules have one entry a key: when something falls due there next, and since when its longest prepared hold
//! is. They are hints that are checked against the key. The sweep works in slices of time with pauses in between, and
//! a key that has much to expire queues up again behind the others after every batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_stock::Ledger;

use crate::commands::stock;
use crate::ffi::{Arg, Context, Name, Timer};
use crate::schedule::Schedule;
use crate::{config, statistics};

/// Holds that are expired in one effect, and memories dropped in one: well below a slice.
const BATCH: usize = 128;

/// When it could not finish, the sweep pauses for so many slices, so that clients have most of the time.
const PAUSE_SLICES: u64 = 3;

/// Keys that one tick looks at for the statistics.
const LOOKED_AT: usize = 256;

/// When to look again at a key that another node of the cluster answers for, in milliseconds.
const UNOWNED_MS: u64 = 1_000;

/// A clock that goes back by more than this makes the noted times wrong, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 1_000;

static NODE: Mutex<Node> = Mutex::new(Node {
    kept: Schedules::new(),
    beside: None,
    ticked_ms: 0,
    looked_ms: 0,
});

/// What this node knows of its keys.
struct Node {
    kept: Schedules,
    /// The same of data that is being loaded beside.
    beside: Option<Schedules>,
    /// When the sweep came by last, in Unix milliseconds.
    ticked_ms: u64,
    /// When the statistics were taken last, in Unix milliseconds.
    looked_ms: u64,
}

struct Schedules {
    due: Schedule,
    prepared: Schedule,
}

impl Schedules {
    const fn new() -> Self {
        Self {
            due: Schedule::new(),
            prepared: Schedule::new(),
        }
    }

    fn note(&mut self, db: i32, key: &[u8], ledger: &Ledger, not_before_ms: u64) {
        if let Some(at_ms) = ledger.next_event_ms(&config::retention()) {
            self.due.note(db, key, at_ms.max(not_before_ms));
        }
        if let Some(since_ms) = ledger.oldest_prepared_ms() {
            self.prepared.note(db, key, since_ms);
        }
    }
}

/// Only the server's main thread uses it, so the lock is always free. It must not be held while a key is opened: a
/// key that is found to have expired reports that it leaves.
fn node() -> MutexGuard<'static, Node> {
    NODE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes when something falls due next in this ledger, which is under `key` in the selected database.
pub(crate) fn note(db: i32, key: &[u8], ledger: &Ledger) {
    let mut node = node();
    // What is due already queues up behind the keys that have waited since the last tick.
    let ticked_ms = node.ticked_ms;
    node.kept.note(db, key, ledger, ticked_ms);
}

/// Notes the same of a ledger that was read from a file, a primary or a payload.
pub(crate) fn loaded(db: i32, key: &[u8], ledger: &Ledger) {
    let mut node = node();
    let Node { kept, beside, .. } = &mut *node;
    beside.as_mut().unwrap_or(kept).note(db, key, ledger, 0);
}

/// Looks at a key that has arrived, and notes its deadlines if it is stock.
pub(crate) fn learn(context: &Context, key: &Arg<'_>) {
    if let Ok(Some(ledger)) = context.open(key).value::<Ledger>() {
        note(context.selected_db(), key.bytes(), ledger);
    }
}

/// The key has left.
pub(crate) fn forget(db: i32, key: &[u8]) {
    let mut node = node();
    node.kept.due.forget(db, key);
    node.kept.prepared.forget(db, key);
}

/// A database, or all of them, is being emptied.
pub(crate) fn clear(db: Option<i32>) {
    let mut node = node();
    node.kept.due.clear(db);
    node.kept.prepared.clear(db);
}

/// Two databases changed places.
pub(crate) fn swap(one: i32, other: i32) {
    let mut node = node();
    node.kept.due.swap(one, other);
    node.kept.prepared.swap(one, other);
}

/// From now on what is loaded stands beside what is kept.
pub(crate) fn loads_beside() {
    node().beside = Some(Schedules::new());
}

/// What was loaded beside is kept from now on if it is complete, or else is gone.
pub(crate) fn loaded_beside(completed: bool) {
    let mut node = node();
    if let Some(beside) = node.beside.take() {
        let mut gone = if completed {
            std::mem::replace(&mut node.kept, beside)
        } else {
            beside
        };
        gone.due.clear(None);
        gone.prepared.clear(None);
    }
}

/// Has every key looked at once more, because what decides when something falls due has changed.
pub(crate) fn look_again() {
    node().kept.due.look_again();
}

/// Runs the sweep.
pub(crate) static TIMER: Timer = Timer::new(|context| Some(tick(context)), config::sweep_tick_ms);

/// Expires what is due, for a slice of time, and returns in how many milliseconds to look again.
fn tick(context: &mut Context) -> u64 {
    let (now_ms, tick_ms) = (context.now_ms(), config::sweep_tick_ms());
    let mut node = node();
    if now_ms.saturating_add(CLOCK_TOLERANCE_MS) < node.ticked_ms {
        node.kept.due.look_again();
    }
    node.ticked_ms = now_ms;
    let looks = now_ms.abs_diff(node.looked_ms) >= tick_ms;
    if looks {
        node.looked_ms = now_ms;
    }
    drop(node);
    let full = sweep(context, now_ms);
    if looks {
        count_due(context, now_ms);
        find_oldest_prepared(context);
    }
    if full {
        let pause_ms = config::sweep_slice_us() * PAUSE_SLICES / 1_000;
        pause_ms.clamp(1, tick_ms)
    } else {
        tick_ms
    }
}

/// Sweeps one key after the other until nothing is due, or the slice is over: then it returns true.
fn sweep(context: &mut Context, now_ms: u64) -> bool {
    let slice = Duration::from_micros(config::sweep_slice_us());
    let began = Instant::now();
    let (mut worked, mut full) = (false, false);
    while !full && context.may_write_unasked() {
        let Some((db, key)) = pop(now_ms) else { break };
        if let (Some(name), true) = (Name::new(&key), context.select_db(db)) {
            sweep_key(context, db, &name.arg(), now_ms);
        }
        worked = true;
        full = began.elapsed() >= slice;
    }
    if worked {
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        statistics::swept(us, full);
    }
    full
}

fn pop(now_ms: u64) -> Option<(i32, Arc<[u8]>)> {
    node().kept.due.pop(now_ms)
}

/// Expires and forgets one batch of what is due under the key, and notes when it is to be looked at again.
fn sweep_key(context: &mut Context, db: i32, key: &Arg<'_>, now_ms: u64) {
    if !context.owns(key) {
        // Its owner sweeps it, and what that comes to arrives as an effect, until it is ours or gone.
        node().kept.due.note(db, key.bytes(), now_ms + UNOWNED_MS);
        return;
    }
    let effects: Vec<_> = match context.open(key).value::<Ledger>() {
        Ok(Some(ledger)) => {
            let forgotten = ledger.forgettable(&config::retention(), now_ms, BATCH);
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
    // A failure is logged there, and leaves the key to the next command that changes it.
    if !effects.is_empty() && stock::change(context, key, &effects).is_ok() {
        statistics::EXPIRED_BY_SWEEP.add(statistics::expired(&effects));
        statistics::FORGOTTEN.add(statistics::forgotten(&effects));
    }
}

/// Counts the keys and the holds that are past due still, on the keys that are due longest.
fn count_due(context: &mut Context, now_ms: u64) {
    let (mut keys, mut holds) = (0, 0);
    let due = node().kept.due.due(now_ms, LOOKED_AT);
    for (db, key) in due {
        let overdue = read(context, db, &key, |ledger| {
            let overdue = ledger.totals().holds - ledger.summary(now_ms).holds;
            if overdue == 0 {
                // A replica does not sweep, so its hint has stayed behind.
                let mut node = node();
                node.kept.due.forget(db, &key);
                node.kept.note(db, &key, ledger, 0);
            }
            overdue
        });
        match overdue {
            Some(0) => {}
            Some(overdue) => (keys, holds) = (keys + 1, holds + overdue),
            None => node().kept.due.forget(db, &key),
        }
    }
    statistics::DUE_KEYS.set(keys);
    statistics::DUE_HOLDS.set(holds);
}

/// Finds the longest prepared hold of the node: the first hint that proves true.
fn find_oldest_prepared(context: &mut Context) {
    for _ in 0..LOOKED_AT {
        let first = node().kept.prepared.first();
        let Some((noted_ms, db, key)) = first else {
            statistics::PREPARED_SINCE_MS.set(0);
            return;
        };
        let since_ms = read(context, db, &key, Ledger::oldest_prepared_ms).flatten();
        if since_ms.is_some_and(|since_ms| since_ms <= noted_ms) {
            statistics::PREPARED_SINCE_MS.set(noted_ms);
            return;
        }
        let mut node = node();
        node.kept.prepared.forget(db, &key);
        if let Some(since_ms) = since_ms {
            node.kept.prepared.note(db, &key, since_ms);
        }
    }
}

/// Reads the ledger under a key of any database, if there is one.
fn read<R>(
    context: &mut Context,
    db: i32,
    key: &[u8],
    read: impl FnOnce(&Ledger) -> R,
) -> Option<R> {
    let name = Name::new(key)?;
    if !context.select_db(db) {
        return None;
    }
    let open = context.open(&name.arg());
    open.value::<Ledger>().ok().flatten().map(read)
}
