//! What must be true of every session, however it came about.

use std::collections::BTreeSet;

use holdfast_session::{ENCODING_VERSION, Effect, FREE_PREFIX, Record, State, limits};

use crate::pieces;

/// No server's clock will ever show a later time, in Unix milliseconds.
const END_OF_TIME_MS: u64 = 1 << 53;

/// Panics unless the session is within its limits and survives being written down in both ways.
pub fn assert_sound(record: &Record) {
    let bytes = record.encode();
    let again = Record::decode(&bytes, ENCODING_VERSION).expect("what was encoded can be decoded");
    assert_eq!(again, *record);
    assert_eq!(again.encode(), bytes);
    let put = Effect::Put(Box::new(record.clone()));
    assert_eq!(
        Effect::from_args(&pieces::borrowed(&put.to_args())),
        Ok(put)
    );

    assert!((1..=limits::MAX_USER_BYTES).contains(&record.user().len()));
    assert!(record.roles().len() <= limits::MAX_ROLES_BYTES);
    assert!(record.page().len() <= limits::MAX_PAGE_BYTES);
    let viewed = record.viewed();
    assert!(viewed.len() <= limits::MAX_VIEWED);
    assert_eq!(viewed.iter().collect::<BTreeSet<_>>().len(), viewed.len());
    assert!(
        viewed
            .iter()
            .all(|item| (1..=limits::MAX_ITEM_BYTES).contains(&item.len()))
    );
    let fields = record.fields();
    assert!(fields.len() <= limits::MAX_FIELDS);
    for (name, value) in &fields {
        assert!((1..=limits::MAX_FIELD_NAME_BYTES).contains(&name.len()));
        assert!(value.len() <= limits::MAX_FIELD_VALUE_BYTES);
        let name = [FREE_PREFIX.as_bytes(), name].concat();
        assert_eq!(record.values(&[&name]), [Some(value.clone())]);
    }

    assert!(i64::try_from(record.page_views()).is_ok());
    // The server takes it as the time to live of the key.
    assert!(i64::try_from(record.ends_ms()).is_ok());
    for now_ms in times(record) {
        match record.left(now_ms) {
            Ok(left) => assert_eq!(
                record.ends_ms(),
                now_ms + left.idle_ms.min(left.absolute_ms)
            ),
            Err(State::IdleExpired | State::AbsoluteExpired) => assert!(record.ends_ms() <= now_ms),
            Err(state) => unreachable!("{state:?} of a session that is there"),
        }
    }
}

/// Times at which the session may look different.
#[must_use]
pub fn times(record: &Record) -> [u64; 4] {
    let ends_ms = record.ends_ms().min(END_OF_TIME_MS);
    [0, ends_ms.saturating_sub(1), ends_ms, END_OF_TIME_MS]
}
