//! Random commands under a random clock against a simple model, compared after every step.

mod commands;
mod gcra;
mod model;
mod rate;

use commands::{Command, Text, steps};
use holdfast_session::{
    Digest, ENCODING_VERSION, Effect, Record, Start, Started, State, Touch, limits,
};
use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

/// What is made wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// TOUCH looks at a clock that stands still.
    StoppedClock,
    /// What the rate has used up is not kept.
    ForgottenTokens,
    /// A secret that was rotated away works for ever.
    EndlessGrace,
    /// The replica notes the time at which it hears of a touch.
    ReplicaClock,
    /// The replica is not told of items.
    LostItems,
}

/// The session on both nodes and in the model.
struct Nodes {
    fault: Fault,
    primary: Option<Record>,
    replica: Option<Record>,
    model: Option<Model>,
}

type Checked = Result<(), TestCaseError>;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_session_does_what_the_model_does(steps in steps()) {
        follow(&steps, Fault::None)?;
    }
}

/// The controls: each fault must be noticed, or the test above would prove nothing.
#[test]
fn every_fault_is_noticed() {
    for fault in [
        Fault::StoppedClock,
        Fault::ForgottenTokens,
        Fault::EndlessGrace,
        Fault::ReplicaClock,
        Fault::LostItems,
    ] {
        let config = ProptestConfig {
            cases: 5_000,
            max_shrink_iters: 0,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let followed = TestRunner::new(config).run(&steps(), |steps| follow(&steps, fault));
        assert!(followed.is_err(), "{fault:?} went unnoticed");
    }
}

fn follow(steps: &[(i64, Command)], fault: Fault) -> Checked {
    let mut nodes = Nodes {
        fault,
        primary: None,
        replica: None,
        model: None,
    };
    let mut now_ms = 1_763_700_000_000;
    for (passes_ms, command) in steps {
        now_ms = u64::saturating_add_signed(now_ms, *passes_ms);
        nodes.run(command, now_ms)?;
        nodes.compare(now_ms)?;
    }
    Ok(())
}

impl Nodes {
    fn run(&mut self, command: &Command, now_ms: u64) -> Checked {
        match command {
            Command::Start {
                secret,
                user,
                roles,
                idle_ms,
                absolute_ms,
                fields,
            } => {
                let start = Start {
                    digest: digest(*secret),
                    user,
                    roles,
                    idle_ms: *idle_ms,
                    absolute_ms: *absolute_ms,
                    fields: borrowed(fields),
                };
                let timeouts_ms = (*idle_ms, *absolute_ms);
                let new = Model::start(*secret, user, roles, timeouts_ms, fields, now_ms);
                let live = self
                    .model
                    .as_ref()
                    .filter(|model| model.left(now_ms).is_ok());
                let started = start.decide(self.primary.as_ref(), now_ms);
                match (started, live, new) {
                    (Err(_), _, None) => {}
                    (Ok(Started::New(left, effect)), None, Some(new)) => {
                        prop_assert_eq!(Ok(left), new.left(now_ms));
                        self.model = Some(new);
                        self.change(&effect, now_ms)?;
                    }
                    (Ok(Started::Again(left)), Some(live), Some(_)) => {
                        prop_assert_eq!(Ok(left), live.left(now_ms));
                        prop_assert_eq!((live.secret, &live.user), (*secret, user));
                    }
                    (Ok(Started::Exists), Some(live), Some(_)) => {
                        prop_assert_ne!((live.secret, &live.user), (*secret, user));
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            Command::Touch {
                secret,
                page,
                item,
                rate,
            } => {
                let (Some(record), Some(model)) = (&self.primary, &mut self.model) else {
                    return Ok(());
                };
                let touch = Touch {
                    digest: digest(*secret),
                    page: page.as_deref(),
                    item: item.as_deref(),
                    rate: *rate,
                };
                let seen_ms = match self.fault {
                    Fault::StoppedClock => model.login_ms,
                    _ => now_ms,
                };
                let touched = record.touch(&touch, seen_ms);
                let expected = model.touch(*secret, page.as_ref(), item.as_ref(), *rate, now_ms);
                prop_assert_eq!((touched.state, touched.verdict), expected);
                prop_assert_eq!(touched.effect.is_some(), touched.state == State::Ok);
                if matches!(touched.state, State::Ok | State::RateLimited) {
                    prop_assert_eq!(Ok(touched.left), model.left(now_ms));
                    prop_assert_eq!(&touched.user, &model.user);
                    prop_assert_eq!(&touched.roles, &model.roles);
                    prop_assert_eq!(touched.page_views, model.views);
                }
                if let Some(effect) = &touched.effect {
                    self.change(effect, now_ms)?;
                }
            }
            Command::Set { pairs } => {
                let (Some(record), Some(model)) = (&self.primary, &mut self.model) else {
                    return Ok(());
                };
                let before = model.clone();
                let set = record.set(&borrowed(pairs));
                prop_assert_eq!(set.is_ok(), model.set(pairs));
                let effect = set.ok().flatten();
                prop_assert_eq!(
                    effect.is_some(),
                    before != *model,
                    "only a change is an effect"
                );
                if let Some(effect) = effect {
                    self.change(&effect, now_ms)?;
                }
            }
            Command::Rotate { old, new, grace_ms } => {
                let (Some(record), Some(model)) = (&self.primary, &mut self.model) else {
                    return Ok(());
                };
                let (state, effect) =
                    record.rotate(&digest(*old), &digest(*new), *grace_ms, now_ms);
                let expected = model.rotate(*old, *new, *grace_ms, now_ms);
                prop_assert_eq!((state, effect.is_some()), expected);
                if let Some(effect) = effect {
                    self.change(&effect, now_ms)?;
                }
            }
            Command::End => (self.primary, self.replica, self.model) = (None, None, None),
        }
        Ok(())
    }

    /// Applies an effect on the primary as it is and on the replica as it is sent.
    fn change(&mut self, effect: &Effect, now_ms: u64) -> Checked {
        let mut effect = effect.clone();
        match (&mut effect, self.fault) {
            (Effect::Touched { tat_ns, .. }, Fault::ForgottenTokens) => *tat_ns = None,
            (Effect::Rotated { grace_until_ms, .. }, Fault::EndlessGrace) => {
                *grace_until_ms = u64::MAX;
            }
            _ => {}
        }
        let args = effect.to_args();
        let args: Vec<_> = args.iter().map(Vec::as_slice).collect();
        let mut sent = Effect::from_args(&args).expect("what was written can be read");
        prop_assert_eq!(&sent, &effect);
        match (&mut sent, self.fault) {
            (Effect::Touched { at_ms, .. }, Fault::ReplicaClock) => *at_ms = now_ms + 1,
            (Effect::Touched { item, .. }, Fault::LostItems) => *item = None,
            _ => {}
        }
        for (side, effect) in [(&mut self.primary, &effect), (&mut self.replica, &sent)] {
            if !matches!(effect, Effect::Put(_)) {
                prop_assert!(effect.apply(None).is_err(), "only START creates");
            }
            let put = effect
                .apply(side.as_mut())
                .expect("what was decided can be applied");
            if put.is_some() {
                *side = put;
            }
        }
        Ok(())
    }

    fn compare(&self, now_ms: u64) -> Checked {
        prop_assert_eq!(&self.primary, &self.replica);
        let (Some(record), Some(model)) = (&self.primary, &self.model) else {
            prop_assert_eq!(self.primary.is_some(), self.model.is_some());
            return Ok(());
        };
        let bytes = record.encode();
        let replicas = self.replica.as_ref().map(Record::encode);
        prop_assert_eq!(replicas.as_ref(), Some(&bytes));
        let again = Record::decode(&bytes, ENCODING_VERSION);
        prop_assert_eq!(again.as_ref(), Ok(record));

        prop_assert_eq!(
            (record.user(), record.roles()),
            (model.user.clone(), model.roles.clone())
        );
        prop_assert_eq!(
            (
                record.login_ms(),
                record.activity_ms(),
                record.ends_ms(),
                record.left(now_ms)
            ),
            (
                model.login_ms,
                model.activity_ms,
                model.ends_ms(),
                model.left(now_ms)
            )
        );
        prop_assert_eq!(
            (record.page(), record.page_views()),
            (model.page.clone(), model.views)
        );
        prop_assert_eq!(record.fields(), model.fields.clone());
        let prefixed = |(name, _): &(Vec<u8>, Vec<u8>)| [b"field:", &**name].concat();
        let names: Vec<_> = model.fields.iter().map(prefixed).collect();
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let values: Vec<_> = model
            .fields
            .iter()
            .map(|(_, value)| Some(value.clone()))
            .collect();
        prop_assert_eq!(record.values(&names), values);
        let viewed = record.viewed();
        prop_assert!(viewed.len() <= limits::MAX_VIEWED);
        prop_assert!((1..viewed.len()).all(|at| !viewed[..at].contains(&viewed[at])));
        prop_assert_eq!(viewed, model.viewed.clone());
        Ok(())
    }
}

fn digest(secret: u8) -> Digest {
    Digest::from([secret; 32])
}

fn borrowed(pairs: &[(Text, Text)]) -> Vec<(&[u8], &[u8])> {
    pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}
