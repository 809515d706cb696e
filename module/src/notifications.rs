//! What is told to those who listen: keyspace events of every change, on primaries and replicas alike as the server's
//! own commands do, and the messages `inventory.updated` of a key's new state, from the primary alone.

use std::ffi::CStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use holdfast_stock::{Ledger, Summary};

use crate::ffi::{Arg, Context, Name, Timer, monotonic_ms};
use crate::updates::{SPACING_MS, Updates};
use crate::{config, statistics};

/// For how long the messages that waited may keep the server busy at a time.
const SLICE: Duration = Duration::from_millis(1);

static UPDATES: Mutex<Updates> = Mutex::new(Updates::new());

/// Publishes what has waited.
pub(crate) static TIMER: Timer = Timer::new(publish_waiting, || SPACING_MS);

/// Only the server's main thread uses it, so the lock is always free. It must not be held while a key is opened.
fn updates() -> MutexGuard<'static, Updates> {
    UPDATES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keyspace event of an effect on stock.
pub(crate) fn stock_event(effect: &holdfast_stock::Effect) -> &'static CStr {
    use holdfast_stock::Effect;
    match effect {
        Effect::Counted { .. } => c"inv.set",
        Effect::Adjusted { .. } => c"inv.adjust",
        Effect::Reserved { .. } => c"inv.reserve",
        Effect::Retaken { .. } => c"inv.retake",
        Effect::Prepared { .. } => c"inv.prepare",
        Effect::Extended { .. } => c"inv.extend",
        Effect::Confirmed { .. } => c"inv.confirm",
        Effect::Released { .. } => c"inv.release",
        Effect::Returned { .. } => c"inv.return",
        Effect::Expired { .. } => c"inv.expire",
        Effect::Forgotten { .. } => c"inv.forget",
    }
}

/// The keyspace event of an effect on a session.
pub(crate) fn session_event(effect: &holdfast_session::Effect) -> &'static CStr {
    use holdfast_session::Effect;
    match effect {
        Effect::Put(_) => c"session.start",
        Effect::Touched { .. } => c"session.touch",
        Effect::Set { .. } => c"session.set",
        Effect::Rotated { .. } => c"session.rotate",
    }
}

/// The stock under the key, in the selected database, has changed: tells of it at once or a little later.
pub(crate) fn stock_changed(context: &Context, key: &Arg<'_>) {
    if !config::publishes_updates() || !context.is_primary() {
        return;
    }
    let db = context.selected_db();
    let mut updates = updates();
    let now = updates.change(db, key.bytes(), monotonic_ms());
    statistics::UPDATES_WAITING.set(updates.len() as u64);
    drop(updates);
    if now {
        publish(context, db, key);
    } else {
        statistics::UPDATES_COALESCED.add(1);
    }
    TIMER.start(context, SPACING_MS);
}

/// Two databases changed places.
pub(crate) fn swapped(one: i32, other: i32) {
    updates().swap(one, other);
}

fn publish_waiting(context: &mut Context) -> Option<u64> {
    let (began, now_ms) = (Instant::now(), monotonic_ms());
    if !config::publishes_updates() || !context.is_primary() {
        updates().clear();
    }
    while let Some((db, key)) = pop(now_ms) {
        if let (Some(name), true) = (Name::new(&key), context.select_db(db)) {
            publish(context, db, &name.arg());
        }
        if began.elapsed() >= SLICE {
            return Some(1);
        }
    }
    let updates = updates();
    statistics::UPDATES_WAITING.set(updates.len() as u64);
    let next_ms = updates.next_ms()?;
    Some(next_ms.saturating_sub(monotonic_ms()).max(1))
}

fn pop(now_ms: u64) -> Option<(i32, std::sync::Arc<[u8]>)> {
    updates().pop(now_ms)
}

/// Publishes the state of the key, if there is stock under it still.
fn publish(context: &Context, db: i32, key: &Arg<'_>) {
    let summary = match context.open(key).value::<Ledger>() {
        Ok(Some(ledger)) => ledger.summary(context.now_ms()),
        Ok(None) | Err(_) => return,
    };
    let channel = channel(key);
    let sharded = context.is_cluster();
    if sharded && hash_tag(&channel) != hash_tag(key) {
        return;
    }
    context.publish(sharded, &channel, message(db, key, &summary).as_bytes());
    statistics::UPDATES_PUBLISHED.add(1);
}

/// The channel on which a key's state is told. It lies in the key's own slot, so that a cluster tells it in the shard
/// where the key is; only a key without a hash tag that has a `}` somewhere cannot be had so.
fn channel(key: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"inventory.updated:";
    if hash_tag(key) == key && !key.is_empty() {
        [PREFIX, b"{", key, b"}"].concat()
    } else {
        [PREFIX, key].concat()
    }
}

/// The part of a key or channel that decides its slot, after the Redis Cluster specification.
fn hash_tag(key: &[u8]) -> &[u8] {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let behind = key.get(open + 1..)?;
        let close = behind.iter().position(|byte| *byte == b'}')?;
        behind.get(..close)
    });
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

fn message(db: i32, key: &[u8], stock: &Summary) -> String {
    let mut escaped = String::with_capacity(key.len());
    for letter in String::from_utf8_lossy(key).chars() {
        match letter {
            '"' | '\\' => escaped.extend(['\\', letter]),
            control if control < ' ' => escaped += &format!("\\u{:04x}", u32::from(control)),
            letter => escaped.push(letter),
        }
    }
    let Summary {
        seq,
        on_hand,
        held,
        available,
        ..
    } = stock;
    format!(
        r#"{{"key":"{escaped}","db":{db},"seq":{seq},"on_hand":{on_hand},"held":{held},"available":{available}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_lies_in_the_slot_of_its_key() {
        for key in [
            "inv:{A1}",
            "inv:{A1}:leeds",
            "a",
            "a b",
            "a{",
            "{{a}",
            "{a}{b}",
        ] {
            let channel = channel(key.as_bytes());
            assert_eq!(hash_tag(&channel), hash_tag(key.as_bytes()), "{key}");
        }
        assert_eq!(channel(b"inv:{A1}"), b"inventory.updated:inv:{A1}");
        assert_eq!(channel(b"a"), b"inventory.updated:{a}");
        for key in ["", "a}", "{}a", "{}{b}"] {
            assert_ne!(
                hash_tag(&channel(key.as_bytes())),
                hash_tag(key.as_bytes()),
                "{key}"
            );
        }
    }

    #[test]
    fn a_message_is_json_whatever_the_key() {
        let stock = Summary {
            on_hand: 5,
            held: 2,
            prepared: 1,
            available: 3,
            sold: 9,
            seq: 7,
            holds: 1,
            shortfall: 0,
        };
        assert_eq!(
            message(3, b"a\"\\\n\xff", &stock),
            "{\"key\":\"a\\\"\\\\\\u000a\u{fffd}\",\"db\":3,\"seq\":7,\"on_hand\":5,\"held\":2,\"available\":3}"
        );
    }
}
