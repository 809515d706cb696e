//! Random lives of a session: commands, time, restarts and fail-overs.

use arbitrary::{Arbitrary, Unstructured};
use holdfast_session::{
    Digest, ENCODING_VERSION, Effect, Rate, Record, Start, Started, State, Touch, limits,
};

use super::book::Book;
use super::sound;
use crate::{Verdict, pieces};

/// One thing that happens to a session.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Start {
        secret: u8,
        user: u8,
        idle_ms: u16,
        absolute_ms: u16,
        fields: Vec<(&'a [u8], &'a [u8])>,
    },
    Touch {
        secret: u8,
        page: Option<&'a [u8]>,
        item: Option<u8>,
        rate: Option<(u8, u8, u8)>,
    },
    Set {
        name: &'a [u8],
        value: &'a [u8],
    },
    Rotate {
        old: u8,
        new: u8,
        grace_ms: u16,
    },
    Wait {
        ms: u16,
    },
    ClockBack {
        ms: u16,
    },
    Restart,
    FailOver,
}

/// The input is the steps of a life.
pub fn check(input: &[u8]) -> Verdict {
    let mut input = Unstructured::new(input);
    let mut life = Life {
        now_ms: 1_760_000_000_000,
        ..Life::default()
    };
    while let Ok(true) = bool::arbitrary(&mut input)
        && let Ok(step) = Step::arbitrary(&mut input)
    {
        life.step(&step);
    }
    life.session.iter().for_each(sound::assert_sound);
    Verdict::accepted_if(life.session.is_some())
}

/// The session, the replica that gets its effects as text, and which secrets must open it.
#[derive(Default)]
struct Life {
    now_ms: u64,
    session: Option<Record>,
    replica: Option<Record>,
    secret: u8,
    previous: Option<(u8, u64)>,
}

impl Life {
    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Start {
                secret,
                user,
                idle_ms,
                absolute_ms,
                fields,
            } => {
                let start = Start {
                    digest: digest(*secret),
                    user: &[*user],
                    roles: b"buyer",
                    idle_ms: u64::from(*idle_ms) + 1,
                    absolute_ms: u64::from(*absolute_ms) * 100 + 1,
                    fields: fields.clone(),
                };
                self.start(&start, *secret);
            }
            Step::Touch {
                secret,
                page,
                item,
                rate,
            } => {
                let item = item.map(|item| [item % 40]);
                let touch = Touch {
                    digest: digest(*secret),
                    page: page.filter(|page| page.len() <= limits::MAX_PAGE_BYTES),
                    item: item.as_ref().map(|item| item.as_slice()),
                    rate: rate.and_then(|(burst, count, period_s)| {
                        Rate::new(burst.into(), count.into(), period_s.into())
                    }),
                };
                self.touch(&touch, *secret);
            }
            Step::Set { name, value } => self.set(name, value),
            Step::Rotate { old, new, grace_ms } => {
                self.rotate(*old % 4, *new % 4, (*grace_ms).into())
            }
            Step::Wait { ms } => self.now_ms += u64::from(*ms),
            Step::ClockBack { ms } => self.now_ms -= u64::from(*ms),
            Step::Restart => {
                let bytes = self.session.as_ref().map(Record::encode);
                self.session = bytes.map(|bytes| {
                    Record::decode(&bytes, ENCODING_VERSION).expect("what was written can be read")
                });
            }
            Step::FailOver => std::mem::swap(&mut self.session, &mut self.replica),
        }
        assert_eq!(self.session, self.replica, "after {step:?}");
    }

    fn start(&mut self, start: &Start<'_>, secret: u8) {
        let live = self
            .session
            .as_ref()
            .is_some_and(|session| session.left(self.now_ms).is_ok());
        match start.decide(self.session.as_ref(), self.now_ms) {
            Ok(Started::New(left, effect)) => {
                assert!(!live, "a live session was overwritten");
                assert_eq!(
                    (left.idle_ms, left.absolute_ms),
                    (start.idle_ms, start.absolute_ms)
                );
                self.apply(&effect);
                (self.secret, self.previous) = (secret % 4, None);
                assert!(matches!(
                    start.decide(self.session.as_ref(), self.now_ms),
                    Ok(Started::Again(_))
                ));
            }
            Ok(Started::Again(_) | Started::Exists) => assert!(live),
            Err(misuse) => assert!(!misuse.to_string().is_empty()),
        }
    }

    fn touch(&mut self, touch: &Touch<'_>, secret: u8) {
        let Some(session) = &self.session else { return };
        let touched = session.touch(touch, self.now_ms);
        let grace = self
            .previous
            .is_some_and(|(old, until_ms)| old == secret % 4 && self.now_ms < until_ms);
        let expected = match session.left(self.now_ms) {
            Err(state) => state,
            Ok(_) if self.secret == secret % 4 || grace => State::Ok,
            Ok(_) => State::BadSecret,
        };
        let limited = touched.verdict.is_some_and(|verdict| verdict.limited);
        assert_eq!(
            touched.state,
            if limited {
                State::RateLimited
            } else {
                expected
            }
        );
        assert_eq!(touched.effect.is_some(), touched.state == State::Ok);
        let views = session.page_views() + u64::from(touch.page.is_some() || touch.item.is_some());
        if let Some(effect) = touched.effect {
            self.apply(&effect);
            let left = self
                .session
                .as_ref()
                .map(|session| session.left(self.now_ms));
            assert_eq!(
                left,
                Some(Ok(touched.left)),
                "what was answered is what is left"
            );
            assert_eq!(self.session.as_ref().map(Record::page_views), Some(views));
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(session) = &self.session else { return };
        if let Ok(Some(effect)) = session.set(&[(name, value)]) {
            self.apply(&effect);
            let again = self
                .session
                .as_ref()
                .map(|session| session.set(&[(name, value)]));
            assert_eq!(again, Some(Ok(None)));
        }
    }

    fn rotate(&mut self, old: u8, new: u8, grace_ms: u64) {
        let Some(session) = &self.session else { return };
        let (state, effect) = session.rotate(&digest(old), &digest(new), grace_ms, self.now_ms);
        if let Some(effect) = effect {
            assert_eq!(
                (state, old),
                (State::Ok, self.secret),
                "another secret was rotated"
            );
            self.apply(&effect);
            (self.previous, self.secret) = (Some((old, self.now_ms + grace_ms)), new);
        }
    }

    /// Applies an effect here as such and there as it is replicated.
    fn apply(&mut self, effect: &Effect) {
        let args = effect.to_args();
        let sent =
            Effect::from_args(&pieces::borrowed(&args)).expect("what was written can be read");
        assert_eq!(sent, *effect);
        let before = self.session.clone();
        for (side, effect) in [(&mut self.session, effect), (&mut self.replica, &sent)] {
            let put = effect
                .apply(side.as_mut())
                .expect("what was decided can be applied");
            if put.is_some() {
                *side = put;
            }
        }
        let (mut book, after) = (
            before.map(|before| Book::of(&before)),
            self.session.as_ref().map(Book::of),
        );
        match &mut book {
            Some(book) => book.write(effect),
            None => book = after.clone(),
        }
        assert_eq!(after, book, "after {effect:?}");
    }
}

/// One of four secrets.
fn digest(secret: u8) -> Digest {
    Digest::parse(&[secret % 4; 32]).expect("32 bytes")
}
