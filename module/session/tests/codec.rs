//! Bytes that are no session are refused whole.

use holdfast_session::{Digest, ENCODING_VERSION, Effect, Record, Start, Started};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_are_refused_or_are_a_session(
        cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let start = Start {
            digest: Digest::from([1; 32]), user: b"ada", roles: b"buyer", idle_ms: 5, absolute_ms: 9,
            fields: vec![(b"cart", b"c1"), (b"lang", b"en")],
        };
        let Ok(Started::New(_, Effect::Put(record))) = start.decide(None, 1_000) else { unreachable!("nothing is there") };
        let mut bytes = record.encode();
        prop_assert!(Record::decode(&bytes[..cut.index(bytes.len())], ENCODING_VERSION).is_err());
        let at = flip.0.index(bytes.len());
        bytes[at] ^= flip.1;
        if let Ok(read) = Record::decode(&bytes, ENCODING_VERSION) {
            prop_assert_eq!(read.encode(), bytes);
        }
        let longer = [record.encode(), vec![0]].concat();
        prop_assert!(Record::decode(&longer, ENCODING_VERSION).is_err());
        prop_assert!(Record::decode(&record.encode(), ENCODING_VERSION + 1).is_err());
    }
}

#[test]
fn a_session_that_can_be_read_can_be_read_after_any_touch() {
    let start = Start {
        digest: Digest::from([1; 32]),
        user: b"ada",
        roles: b"",
        idle_ms: 5,
        absolute_ms: 9,
        fields: Vec::new(),
    };
    let Ok(Started::New(_, Effect::Put(mut record))) = start.decide(None, 1_000) else {
        unreachable!("nothing is there")
    };
    let mut bytes = record.encode();
    let touched = Effect::Touched {
        at_ms: u64::MAX,
        page: None,
        item: None,
        tat_ns: Some(u64::MAX),
    };
    touched.apply(Some(&mut record)).expect("it is there");
    let read = Record::decode(&record.encode(), ENCODING_VERSION);
    assert_eq!(read, Ok(*record));

    // One that ends when it is idle, yet lasts beyond all time otherwise, could not be read once it was touched.
    const LOGIN: std::ops::Range<usize> = 33..41;
    bytes[LOGIN].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Record::decode(&bytes, ENCODING_VERSION).is_err());
}
