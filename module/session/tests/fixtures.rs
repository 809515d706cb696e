//! Sessions that earlier releases wrote are read for ever: `fixtures/v1` was written by the code of that version.

use holdfast_session::{Digest, Left, Record, State, Touch};

const NEW: &[u8] = include_bytes!("../fixtures/v1/new.bin");
const BUSY: &[u8] = include_bytes!("../fixtures/v1/busy.bin");
const LONGEST: &[u8] = include_bytes!("../fixtures/v1/longest.bin");

const LOGIN_MS: u64 = 1_763_700_000_123;

fn read(bytes: &[u8]) -> Record {
    Record::decode(bytes, 1).expect("version 1 is read for ever")
}

fn touch(secret: u8) -> Touch<'static> {
    Touch {
        digest: Digest::from([secret; 32]),
        page: None,
        item: None,
        rate: None,
    }
}

#[test]
fn a_new_session_is_read() {
    let record = read(NEW);
    assert_eq!((record.user(), record.roles()), (b"ada".to_vec(), vec![]));
    let times = (record.login_ms(), record.activity_ms(), record.ends_ms());
    assert_eq!(times, (LOGIN_MS, LOGIN_MS, LOGIN_MS + 1_800_000));
    assert_eq!((record.page(), record.page_views()), (vec![], 0));
    assert_eq!((record.viewed().len(), record.fields().len()), (0, 0));
    assert_eq!(record.touch(&touch(0x1d), LOGIN_MS).state, State::Ok);
    assert_eq!(record.touch(&touch(0x2e), LOGIN_MS).state, State::BadSecret);
}

#[test]
fn a_busy_session_is_read() {
    let record = read(BUSY);
    assert_eq!(record.user(), b"0190f3a2-7c1e-4abc-8def-0123456789ab");
    assert_eq!(record.roles(), b"customer,vip");
    assert_eq!(record.page(), b"/products/85123A");
    let last_ms = 1_763_700_061_000 + 29 * 3_000;
    let facts = (record.login_ms(), record.activity_ms(), record.page_views());
    assert_eq!(facts, (LOGIN_MS, last_ms, 30));
    let left = Left {
        idle_ms: 900_001,
        absolute_ms: 31_536_000_000 - (last_ms - LOGIN_MS),
    };
    assert_eq!(record.left(last_ms), Ok(left));
    let items: Vec<_> = (5..30)
        .rev()
        .map(|n| format!("SKU-{n:05}").into_bytes())
        .collect();
    assert_eq!(record.viewed(), items);
    let fields: [(&[u8], &[u8]); 5] = [
        (b"locale", b"en-GB"),
        (b"cart", b"c-209311"),
        (b"note", "café ☕".as_bytes()),
        (b"field:odd", b""),
        (&[0, 0xff], &[0, 1, 2, 0xff]),
    ];
    assert_eq!(
        record.fields(),
        fields.map(|(name, value)| (name.to_vec(), value.to_vec()))
    );
    for (secret, now_ms, state) in [
        (0x2e, last_ms, State::Ok),
        (0x1d, 1_763_700_069_999, State::Ok),
        (0x1d, 1_763_700_070_000, State::BadSecret),
    ] {
        assert_eq!(record.touch(&touch(secret), now_ms).state, state);
    }
}

#[test]
fn the_longest_session_is_read() {
    let record = read(LONGEST);
    assert_eq!(record.user(), [b'u'; 128]);
    assert_eq!(record.roles(), [b'r'; 256]);
    assert_eq!(record.page(), [b'/'; 1024]);
    assert_eq!(record.viewed(), [vec![b'i'; 128]]);
    assert_eq!(record.ends_ms(), LOGIN_MS + 2);
    let fields = record.fields();
    assert_eq!(fields.len(), 64);
    for (n, (name, value)) in fields.iter().enumerate() {
        assert_eq!(*name, format!("{n:0>64}").into_bytes());
        assert_eq!(*value, [b'v'; 1024]);
    }
}

#[test]
fn what_was_read_is_written_the_same() {
    for bytes in [NEW, BUSY, LONGEST] {
        assert!(read(bytes).encode() == bytes, "{:?}", read(bytes));
    }
}

/// A control: a version that nobody has written yet must not be guessed at.
#[test]
fn a_later_version_is_refused() {
    for bytes in [NEW, BUSY, LONGEST] {
        assert!(Record::decode(bytes, 0).is_err());
        assert!(Record::decode(bytes, 2).is_err());
    }
}
