//! The changes of a session's life.

use holdfast_session::{Digest, Effect, Rate, Record, Start, Started, Touch, limits};

use super::NOW_MS;

/// Every change of a session.
pub(super) fn one_of_each() -> Vec<Effect> {
    let start = Start {
        digest: digest(1),
        user: b"ada",
        roles: b"buyer",
        idle_ms: 1_800_000,
        absolute_ms: 86_400_000,
        fields: vec![(b"cart", b"c1")],
    };
    let (put, record) = started(&start);
    let touch = Touch {
        digest: digest(1),
        page: Some(b"/lamps"),
        item: Some(b"LAMP"),
        rate: Rate::new(5, 1, 60),
    };
    let touched = record.touch(&touch, NOW_MS).effect.expect("a right secret");
    let set = Effect::Set {
        pairs: vec![(b"lang".to_vec(), b"en".to_vec())],
    };
    let rotated = Effect::Rotated {
        digest: digest(2),
        grace_until_ms: NOW_MS + 1_000,
    };
    vec![put, touched, set, rotated]
}

/// Texts of every kind as long as they may be, in letters that have no short form.
pub(super) fn longest() -> Vec<Effect> {
    let text = |length| "é".repeat(length / 2).into_bytes();
    let (user, roles) = (text(limits::MAX_USER_BYTES), text(limits::MAX_ROLES_BYTES));
    let start = Start {
        digest: digest(1),
        user: &user,
        roles: &roles,
        idle_ms: 1,
        absolute_ms: limits::LONGEST_TIMEOUT_MS,
        fields: Vec::new(),
    };
    let (put, _) = started(&start);
    let viewed = (0..=limits::MAX_VIEWED as u8).map(|number| Effect::Touched {
        at_ms: NOW_MS,
        page: None,
        item: Some(vec![b'0' + number]),
        tat_ns: None,
    });
    let page = Effect::Touched {
        at_ms: NOW_MS,
        page: Some(text(limits::MAX_PAGE_BYTES)),
        item: Some(text(limits::MAX_ITEM_BYTES)),
        tat_ns: Some(u64::MAX),
    };
    let pair = (
        text(limits::MAX_FIELD_NAME_BYTES),
        text(limits::MAX_FIELD_VALUE_BYTES),
    );
    let set = Effect::Set { pairs: vec![pair] };
    std::iter::once(put)
        .chain(viewed)
        .chain([page, set])
        .collect()
}

/// What comes of these changes, the first of which is a start.
pub(super) fn record(changes: &[Effect]) -> Record {
    let mut record = None;
    for change in changes {
        let put = change.apply(record.as_mut()).expect("changes that fit");
        record = put.or(record);
    }
    record.expect("a start")
}

fn started(start: &Start<'_>) -> (Effect, Record) {
    let Ok(Started::New(_, put)) = start.decide(None, NOW_MS) else {
        unreachable!("nothing is there")
    };
    let record = record(std::slice::from_ref(&put));
    (put, record)
}

fn digest(secret: u8) -> Digest {
    Digest::parse(&[secret; 32]).expect("32 bytes")
}
