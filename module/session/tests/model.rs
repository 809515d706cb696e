//! Random commands under a random clock, against a model that is as plain as can be.

use std::collections::BTreeMap;

use holdfast_session::{
    Digest, ENCODING_VERSION, Effect, Rate, Record, Start, Started, State, Touch, limits,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Command {
    Start {
        secret: u8,
        user: u8,
        idle_ms: u64,
        absolute_ms: u64,
    },
    Touch {
        secret: u8,
        page: Option<u8>,
        item: Option<u8>,
        rate: Option<Rate>,
    },
    Set {
        name: u8,
        value: Vec<u8>,
    },
    Rotate {
        old: u8,
        new: u8,
        grace_ms: u64,
    },
}

/// A session, with every time and every list written out.
#[derive(Clone, Debug)]
struct Model {
    user: u8,
    secret: u8,
    previous: Option<(u8, u64)>,
    idle_deadline: u64,
    absolute_deadline: u64,
    idle_ms: u64,
    views: u64,
    viewed: Vec<u8>,
    fields: BTreeMap<u8, Vec<u8>>,
}

impl Model {
    fn over(&self, now_ms: u64) -> Option<State> {
        if now_ms >= self.absolute_deadline {
            Some(State::AbsoluteExpired)
        } else if now_ms >= self.idle_deadline {
            Some(State::IdleExpired)
        } else {
            None
        }
    }

    fn accepts(&self, secret: u8, now_ms: u64) -> bool {
        self.secret == secret
            || self
                .previous
                .is_some_and(|(old, until)| old == secret && now_ms < until)
    }
}

fn digest(secret: u8) -> Digest {
    Digest::parse(&[secret; 32]).expect("32 bytes")
}

fn command() -> impl Strategy<Value = Command> {
    let rate = (0..4_u64, 1..4_u64, 1..3_u64).prop_map(|(burst, count, period_s)| {
        Rate::new(burst, count, period_s).expect("a sound rate")
    });
    let page = proptest::option::of(any::<u8>());
    let item = proptest::option::of(0..40_u8);
    prop_oneof![
        2 => (0..3_u8, 0..2_u8, 1..3_000_u64, 1..9_000_u64)
            .prop_map(|(secret, user, idle_ms, absolute_ms)| Command::Start { secret, user, idle_ms, absolute_ms }),
        8 => (0..3_u8, page, item, proptest::option::of(rate))
            .prop_map(|(secret, page, item, rate)| Command::Touch { secret, page, item, rate }),
        2 => (0..5_u8, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(name, value)| Command::Set { name, value }),
        2 => (0..3_u8, 0..3_u8, 0..800_u64)
            .prop_filter("another secret", |(old, new, _)| old != new)
            .prop_map(|(old, new, grace_ms)| Command::Rotate { old, new, grace_ms }),
    ]
}

/// Applies an effect here as such and there as it is replicated.
fn apply(primary: &mut Option<Record>, replica: &mut Option<Record>, effect: &Effect) {
    let args = effect.to_args();
    let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
    let sent = Effect::from_args(&args).expect("what was written can be read");
    assert_eq!(&sent, effect);
    for (side, effect) in [(primary, effect), (replica, &sent)] {
        if let Some(put) = effect
            .apply(side.as_mut())
            .expect("what was decided can be applied")
        {
            *side = Some(put);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_session_does_what_the_model_does(steps in proptest::collection::vec((0..900_u64, command()), 1..60)) {
        let mut now_ms = 1_000_000;
        let mut model: Option<Model> = None;
        let (mut primary, mut replica): (Option<Record>, Option<Record>) = (None, None);
        for (passes_ms, command) in steps {
            now_ms += passes_ms;
            match command {
                Command::Start { secret, user, idle_ms, absolute_ms } => {
                    let name = [b'u', user];
                    let start = Start { digest: digest(secret), user: &name, roles: b"", idle_ms, absolute_ms, fields: Vec::new() };
                    let live = model.as_ref().filter(|model| model.over(now_ms).is_none());
                    match (start.decide(primary.as_ref(), now_ms).expect("sound"), live) {
                        (Started::New(left, effect), None) => {
                            prop_assert_eq!((left.idle_ms, left.absolute_ms), (idle_ms, absolute_ms));
                            apply(&mut primary, &mut replica, &effect);
                            model = Some(Model {
                                user, secret, previous: None, idle_ms,
                                idle_deadline: now_ms + idle_ms, absolute_deadline: now_ms + absolute_ms,
                                views: 0, viewed: Vec::new(), fields: BTreeMap::new(),
                            });
                        }
                        (Started::Again(_), Some(live)) => prop_assert_eq!((live.secret, live.user), (secret, user)),
                        (Started::Exists, Some(live)) => prop_assert_ne!((live.secret, live.user), (secret, user)),
                        (answer, live) => prop_assert!(false, "{:?} against {:?}", answer, live),
                    }
                }
                Command::Touch { secret, page, item, rate } => {
                    let (Some(record), Some(model)) = (&primary, &mut model) else { continue };
                    let (page, item) = (page.map(|page| [page]), item.map(|item| [item]));
                    let (page, item) = (page.as_ref().map(|page| &page[..]), item.as_ref().map(|item| &item[..]));
                    let touched = record.touch(&Touch { digest: digest(secret), page, item, rate }, now_ms);
                    let expected = model.over(now_ms).unwrap_or(State::Ok);
                    let expected = if expected == State::Ok && !model.accepts(secret, now_ms) { State::BadSecret } else { expected };
                    if touched.state == State::RateLimited {
                        prop_assert_eq!(expected, State::Ok);
                        prop_assert!(rate.is_some() && touched.effect.is_none());
                        continue;
                    }
                    prop_assert_eq!(touched.state, expected);
                    prop_assert_eq!(touched.effect.is_some(), expected == State::Ok);
                    if let Some(effect) = touched.effect {
                        apply(&mut primary, &mut replica, &effect);
                        model.idle_deadline = now_ms + model.idle_ms;
                        model.views += u64::from(page.is_some() || item.is_some());
                        if let Some(item) = item {
                            model.viewed.retain(|known| *known != item[0]);
                            model.viewed.insert(0, item[0]);
                            model.viewed.truncate(limits::MAX_VIEWED);
                        }
                    }
                }
                Command::Set { name, value } => {
                    let (Some(record), Some(model)) = (&primary, &mut model) else { continue };
                    let effect = record.set(&[(&[b'f', name], &value)]).expect("a sound field");
                    let known = model.fields.insert(name, value.clone());
                    prop_assert_eq!(effect.is_none(), known.as_ref() == Some(&value), "only a change is an effect");
                    if let Some(effect) = effect {
                        apply(&mut primary, &mut replica, &effect);
                    }
                }
                Command::Rotate { old, new, grace_ms } => {
                    let (Some(record), Some(model)) = (&primary, &mut model) else { continue };
                    let (state, effect) = record.rotate(&digest(old), &digest(new), grace_ms, now_ms);
                    let done = model.secret == new && model.previous.is_some_and(|(previous, _)| previous == old);
                    let allowed = done || model.secret == old;
                    let expected = model.over(now_ms).unwrap_or(if allowed { State::Ok } else { State::BadSecret });
                    prop_assert_eq!(state, expected);
                    prop_assert_eq!(effect.is_some(), expected == State::Ok && !done);
                    if let Some(effect) = effect {
                        apply(&mut primary, &mut replica, &effect);
                        (model.previous, model.secret) = (Some((old, now_ms + grace_ms)), new);
                    }
                }
            }
            prop_assert_eq!(&primary, &replica);
            if let (Some(record), Some(model)) = (&primary, &model) {
                prop_assert_eq!(record.page_views(), model.views);
                prop_assert_eq!(record.viewed().iter().map(|item| item[0]).collect::<Vec<_>>(), model.viewed.clone());
                prop_assert_eq!(record.fields().len(), model.fields.len());
                prop_assert!(model.fields.iter().all(|(name, value)| record.field(&[b'f', *name]).as_ref() == Some(value)));
                prop_assert_eq!(record.ends_ms(), model.idle_deadline.min(model.absolute_deadline));
                prop_assert_eq!(record.left(now_ms).err(), model.over(now_ms));
                let again = Record::decode(&record.encode(), ENCODING_VERSION);
                prop_assert_eq!(again.as_ref(), Ok(record));
            }
        }
    }

    /// In any window, no more gets through than the burst and what the window refills.
    #[test]
    fn the_rate_is_never_exceeded(
        burst in 0..5_u64, count in 1..10_u64, period_s in 1..5_u64,
        gaps in proptest::collection::vec(0..2_000_u64, 1..200),
    ) {
        let rate = Rate::new(burst, count, period_s).expect("a sound rate");
        let (mut tat, mut now_ms) = (0, 1_000_000);
        let mut passed: Vec<u64> = Vec::new();
        for gap in gaps {
            now_ms += gap;
            let verdict = rate.take(tat, now_ms);
            prop_assert!(verdict.remaining <= verdict.limit);
            prop_assert_eq!(verdict.limited, verdict.retry_after_s >= 0);
            if verdict.limited {
                prop_assert_eq!(verdict.tat_ns, tat.max(now_ms * 1_000_000));
                let later = now_ms + verdict.retry_after_s as u64 * 1_000;
                prop_assert!(!rate.take(verdict.tat_ns, later).limited, "retry after is enough");
            } else {
                passed.push(now_ms);
            }
            tat = verdict.tat_ns;
        }
        for (at, first) in passed.iter().enumerate() {
            for (more, last) in passed[at..].iter().enumerate() {
                let refilled = (last - first) * count / (period_s * 1_000);
                prop_assert!(more as u64 <= burst + refilled + 1, "{} after {} ms", more + 1, last - first);
            }
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_are_a_session(
        cut in any::<prop::sample::Index>(), flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let start = Start {
            digest: digest(1), user: b"ada", roles: b"buyer", idle_ms: 5, absolute_ms: 9,
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
        digest: digest(1),
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

/// A control: a limiter that forgets what has passed must be caught by the check of the rate.
#[test]
fn a_limiter_that_forgets_is_noticed() {
    let rate = Rate::new(1, 1, 1).expect("a sound rate");
    let passed = (0..10).filter(|_| !rate.take(0, 1_000).limited).count();
    assert!(
        passed > 2,
        "without its TAT the rate lets everything through"
    );
}
