//! What the server tells of keys and databases, as far as the deadlines must follow it.

use crate::ffi::{Context, Name};
use crate::{expiry, notifications};

/// Something happened to a key. Deadlines come with a key that arrives under a new name, database or server.
pub(crate) fn key_event(context: &Context, event: &[u8], key: &[u8]) {
    if matches!(event, b"restore" | b"rename_to" | b"copy_to" | b"move_to") {
        // The name is made anew: one that comes with an event must not always be retained, which opening a key does.
        if let Some(name) = Name::new(key) {
            expiry::learn(context, &name.arg());
            notifications::stock_changed(context, &name.arg());
        }
    }
}

/// A replica has begun to load its primary's data beside its own.
pub(crate) fn loads_beside() {
    expiry::loads_beside();
}

/// What was loaded beside has taken the place of what was here, or has come to nothing.
pub(crate) fn loaded_beside(completed: bool) {
    expiry::loaded_beside(completed);
}

/// A database, or all of them, is being emptied.
pub(crate) fn flushed(db: Option<i32>) {
    expiry::clear(db);
}

/// Two databases changed places.
pub(crate) fn swapped(one: i32, other: i32) {
    expiry::swap(one, other);
    notifications::swapped(one, other);
}
