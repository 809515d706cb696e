//! Hostile payloads: what can be decoded at all is a session as good as any.

use holdfast_session::{Digest, Effect, Rate, Record, Start, State, Touch};

use super::sound;
use crate::{Verdict, pieces};

/// The input is an encoding version and a payload, in two pieces that are put together again.
pub fn check(input: &[u8]) -> Verdict {
    let Some((version, chunks)) = pieces::payload(input) else {
        return Verdict::Refused;
    };
    let Ok(record) = Record::decode(&chunks.concat(), version) else {
        return Verdict::Refused;
    };
    assert!(
        record.memory() < 1024 + 8 * input.len(),
        "{} bytes made a session of {}",
        input.len(),
        record.memory()
    );
    sound::assert_sound(&record);
    obeys(record);
    Verdict::Accepted
}

/// Puts every command to the session, before and after its end.
fn obeys(mut record: Record) {
    let (ours, next) = (digest(1), digest(2));
    for now_ms in sound::times(&record) {
        // Its own secret is unknown: it gets one of ours.
        apply(
            &mut record,
            &Effect::Rotated {
                digest: ours,
                grace_until_ms: now_ms,
            },
        );
        let touch = Touch {
            digest: ours,
            page: Some(b"/lamps"),
            item: Some(b"LAMP"),
            rate: Rate::new(2, 1, 1),
        };
        let views = record.page_views();
        let touched = record.touch(&touch, now_ms);
        match record.left(now_ms) {
            Ok(_) => assert!(matches!(touched.state, State::Ok | State::RateLimited)),
            Err(state) => assert_eq!(touched.state, state),
        }
        assert_eq!(touched.effect.is_some(), touched.state == State::Ok);
        if let Some(effect) = touched.effect {
            apply(&mut record, &effect);
            assert_eq!(record.page(), b"/lamps");
            assert_eq!(record.viewed().first(), Some(&b"LAMP".to_vec()));
            assert_eq!(record.page_views(), (views + 1).min(i64::MAX as u64));
        }
        if let Ok(Some(effect)) = record.set(&[(b"lang", b"en")]) {
            apply(&mut record, &effect);
            assert_eq!(record.values(&[b"lang"]), [Some(b"en".to_vec())]);
        }
        if let (State::Ok, Some(effect)) = record.rotate(&ours, &next, 1_000, now_ms) {
            apply(&mut record, &effect);
        }
        let start = Start {
            digest: next,
            user: b"ada",
            roles: b"",
            idle_ms: 1,
            absolute_ms: 1,
            fields: Vec::new(),
        };
        assert!(start.decide(Some(&record), now_ms).is_ok());
    }
    sound::assert_sound(&record);
}

fn apply(record: &mut Record, effect: &Effect) {
    let put = effect
        .apply(Some(record))
        .expect("what was decided can be applied");
    assert!(put.is_none());
}

fn digest(secret: u8) -> Digest {
    Digest::parse(&[secret; 32]).expect("32 bytes")
}
