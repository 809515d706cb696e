//! What became of every request, in time: pure functions of what clients saw.
//!
//! A request belongs to the moment at which it was *due*, not to the one at which it was sent: a client that waits for an
//! answer before it asks again would not ask while nobody answers, and so not see it (coordinated omission, as Gil Tene
//! calls it).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fate::Fate;
use super::kind::Kind;

/// How long a bar of the timeline is.
pub const STEP: Duration = Duration::from_millis(100);

/// What became of one request. All times are since the load began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was asked.
    pub kind: Kind,
    /// What it was about: a session, a product, a basket. Those of one kind and subject are served or not together.
    pub subject: usize,
    /// When it was to be sent.
    pub due: Duration,
    /// The first attempt: what a client sees that never repeats.
    pub first: Attempt,
    /// The last one: what a client sees that repeats what is safe.
    pub last: Attempt,
    /// How many attempts there were.
    pub attempts: u32,
}

#[cfg(test)]
impl Outcome {
    /// An order that was sent once and answered at once.
    pub fn of_an_order(due: Duration, fate: super::fate::Fate) -> Outcome {
        let only = Attempt {
            fate,
            ended: due,
            words: format!("{fate:?}"),
        };
        Outcome {
            kind: Kind::Order,
            subject: 0,
            due,
            first: only.clone(),
            last: only,
            attempts: 1,
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What it came to.
    pub fate: Fate,
    /// When that was known.
    pub ended: Duration,
    /// What was seen, in a few words.
    pub words: String,
}

/// The first attempts that were due within one [`STEP`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bar {
    /// Served.
    pub served: u32,
    /// Refused.
    pub refused: u32,
    /// Failed.
    pub failed: u32,
}

/// How many requests of a kind came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub sent: u32,
    /// Served at the first attempt.
    pub at_once: u32,
    /// Served when they were repeated.
    pub repeated: u32,
    /// Refused to the end.
    pub refused: u32,
    /// Failed to the end.
    pub failed: u32,
    /// The longest time from when one was due until it was served.
    pub slowest: Duration,
}

/// For how long a kind of request was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// From when the first one was due that was not served, until one was.
    pub lasted: Duration,
    /// False where none was served to the end.
    pub is_back: bool,
}

/// The bars of these kinds, one after the other from the beginning on, by the first attempts.
pub fn bars(outcomes: &[Outcome], kinds: &[Kind]) -> Vec<Bar> {
    let place = |outcome: &Outcome| (outcome.due.as_millis() / STEP.as_millis()) as usize;
    let length = outcomes.iter().map(place).max().map_or(0, |last| last + 1);
    let mut bars = vec![Bar::default(); length];
    for outcome in outcomes
        .iter()
        .filter(|outcome| kinds.contains(&outcome.kind))
    {
        let bar = &mut bars[place(outcome)];
        *match outcome.first.fate {
            Fate::Served => &mut bar.served,
            Fate::Refused => &mut bar.refused,
            Fate::Failed => &mut bar.failed,
        } += 1;
    }
    bars
}

/// What the requests of a kind came to in the end.
pub fn totals(outcomes: &[Outcome], kind: Kind) -> Totals {
    let mut totals = Totals::default();
    for outcome in outcomes.iter().filter(|outcome| outcome.kind == kind) {
        totals.sent += 1;
        match outcome.last.fate {
            Fate::Served => {
                let took = outcome.last.ended.saturating_sub(outcome.due);
                totals.slowest = totals.slowest.max(took);
                let served = match outcome.attempts {
                    1 => &mut totals.at_once,
                    _ => &mut totals.repeated,
                };
                *served += 1;
            }
            Fate::Refused => totals.refused += 1,
            Fate::Failed => totals.failed += 1,
        }
    }
    totals
}

/// The longest time without service of a kind from `since` on: of each moment at which a request was due, the time until
/// *any* request about the same thing was served, and of those the longest.
///
/// It is what a shopper waits who comes at the worst moment and asks for that one session, product or basket; that others
/// are served meanwhile, by another shard or proxy, makes it no shorter. Since requests about one thing come a few tenths
/// of a second apart it may be told so much too long, and since the worst moment is that of a request, not much too short.
pub fn without_service(outcomes: &[Outcome], kind: Kind, since: Duration) -> Gap {
    let mut served: BTreeMap<usize, BTreeSet<Duration>> = BTreeMap::new();
    let of_kind = || outcomes.iter().filter(|outcome| outcome.kind == kind);
    for outcome in of_kind().filter(|outcome| outcome.last.fate == Fate::Served) {
        served
            .entry(outcome.subject)
            .or_default()
            .insert(outcome.last.ended);
    }
    let end = outcomes
        .iter()
        .map(|outcome| outcome.last.ended)
        .max()
        .unwrap_or_default();
    let waits = of_kind()
        .filter(|outcome| outcome.last.ended >= since)
        .map(|outcome| {
            let from = outcome.due.max(since);
            let of_subject = served.get(&outcome.subject);
            match of_subject.and_then(|moments| moments.range(from..).next()) {
                Some(moment) => Gap {
                    lasted: *moment - from,
                    is_back: true,
                },
                None => Gap {
                    lasted: end.saturating_sub(from),
                    is_back: false,
                },
            }
        });
    // One that is not back at all is worse than any that is.
    let worst = waits.max_by_key(|gap| (!gap.is_back, gap.lasted));
    worst.unwrap_or(Gap {
        lasted: Duration::ZERO,
        is_back: true,
    })
}

/// Whether everything that was asked about before `since` was served at the first attempt since then.
pub fn is_served_since(outcomes: &[Outcome], since: Duration) -> bool {
    let about = |outcome: &Outcome| (outcome.kind, outcome.subject);
    let known: BTreeSet<_> = outcomes.iter().map(about).collect();
    let served = outcomes
        .iter()
        .filter(|outcome| outcome.due >= since && outcome.first.fate == Fate::Served);
    let served: BTreeSet<_> = served.map(about).collect();
    !known.is_empty() && served == known
}

/// How often each thing was seen of first attempts that were not served.
pub fn troubles(outcomes: &[Outcome], kind: Kind) -> BTreeMap<&str, u32> {
    let mut troubles = BTreeMap::new();
    let unserved = |outcome: &&Outcome| outcome.kind == kind && outcome.first.fate != Fate::Served;
    for outcome in outcomes.iter().filter(unserved) {
        *troubles.entry(outcome.first.words.as_str()).or_default() += 1;
    }
    troubles
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
