//! When holds fall due: what this node has to look at and when, and the sweep that goes by it.
//!
//! The schedule has one entry a key: when something falls due there next. It is a hint that is checked against its key
//! when it comes due. The sweep works in slices of time with pauses in between, and a key that has much to expire
//! queues up again behind the others after every batch.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_stock::Ledger;

use crate::commands::stock;
use crate::config;
use crate::ffi::{Arg, Context, Name};
use crate::schedule::Schedule;

/// Holds that are expired in one effect, and memories dropped in one: well below a slice.
const BATCH: usize = 256;

/// When it could not finish, the sweep pauses for so many slices, so that clients have most of the time.
const PAUSE_SLICES: u64 = 3;

/// A clock that goes back by more than this makes the noted times wrong, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 1_000;

static NODE: Mutex<Node> = Mutex::new(Node::new());

/// What this node knows of its keys.
struct Node {
    due: Schedule,
    /// When the sweep looked last, in Unix milliseconds.
    looked_ms: u64,
}

impl Node {
    const fn new() -> Self {
        Self {
            due: Schedule::new(),
            looked_ms: 0,
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
    if let Some(at_ms) = ledger.next_event_ms(&config::retention()) {
        let mut node = node();
        // What is due already queues up behind the keys that have waited since the last look.
        let at_ms = at_ms.max(node.looked_ms);
        node.due.note(db, key, at_ms);
    }
}

/// Looks at a key that has arrived, and notes its deadlines if it is stock.
pub(crate) fn learn(context: &Context, key: &Arg<'_>) {
    if let Ok(Some(ledger)) = context.open(key).value::<Ledger>() {
        note(context.selected_db(), key.bytes(), ledger);
    }
}

/// The key has left.
pub(crate) fn forget(db: i32, key: &[u8]) {
    node().due.forget(db, key);
}

/// A database, or all of them, is being emptied.
pub(crate) fn clear(db: Option<i32>) {
    node().due.clear(db);
}

/// Two databases changed places.
pub(crate) fn swap(one: i32, other: i32) {
    node().due.swap(one, other);
}

/// Has every key looked at once more, because what decides when something falls due has changed.
pub(crate) fn look_again() {
    node().due.look_again();
}

/// Expires what is due, for a slice of time, and returns in how many milliseconds to look again.
pub(crate) fn tick(context: &mut Context) -> u64 {
    let (now_ms, tick_ms) = (context.now_ms(), config::sweep_tick_ms());
    let slice = Duration::from_micros(config::sweep_slice_us());
    let began = Instant::now();
    let mut node = node();
    if now_ms.saturating_add(CLOCK_TOLERANCE_MS) < node.looked_ms {
        node.due.look_again();
    }
    node.looked_ms = now_ms;
    drop(node);
    while context.may_write_unasked() {
        let Some((db, key)) = pop(now_ms) else { break };
        if let (Some(name), true) = (Name::new(&key), context.select_db(db)) {
            sweep(context, db, &name.arg(), now_ms);
        }
        if began.elapsed() >= slice {
            let pause_ms = config::sweep_slice_us() * PAUSE_SLICES / 1_000;
            return pause_ms.clamp(1, tick_ms);
        }
    }
    tick_ms
}

fn pop(now_ms: u64) -> Option<(i32, std::sync::Arc<[u8]>)> {
    node().due.pop(now_ms)
}

/// Expires and forgets one batch of what is due under the key, and notes when it is to be looked at again.
fn sweep(context: &mut Context, db: i32, key: &Arg<'_>, now_ms: u64) {
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
    if !effects.is_empty() {
        // A failure is logged there, and leaves the key to the next command that changes it.
        let _ = stock::change(context, key, &effects);
    }
}
