//! Made-up timelines, in which everything is known.

use super::*;

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn attempt(fate: Fate, ended: u64) -> Attempt {
    Attempt {
        fate,
        ended: at(ended),
        words: format!("{fate:?}"),
    }
}

/// One request that was answered once, 5 ms after it was due.
fn once(subject: usize, due: u64, fate: Fate) -> Outcome {
    let only = attempt(fate, due + 5);
    Outcome {
        kind: Kind::Order,
        subject,
        due: at(due),
        first: only.clone(),
        last: only,
        attempts: 1,
    }
}

/// Every 100 ms one about this thing; those due from `from` to before `to` come to `fate`.
fn outage(subject: usize, from: u64, to: u64, fate: Fate) -> Vec<Outcome> {
    let moments = (0..50).map(|place| place * 100);
    let fate = |due| {
        if (from..to).contains(&due) {
            fate
        } else {
            Fate::Served
        }
    };
    moments.map(|due| once(subject, due, fate(due))).collect()
}

fn gap(outcomes: &[Outcome]) -> Gap {
    without_service(outcomes, Kind::Order, Duration::ZERO)
}

#[test]
fn the_time_without_service_lasts_until_the_next_answer() {
    for fate in [Fate::Failed, Fate::Refused] {
        let lost = outage(0, 1_000, 3_000, fate);
        assert_eq!(
            gap(&lost),
            Gap {
                lasted: at(2_005),
                is_back: true
            }
        );
    }
    assert_eq!(
        gap(&outage(0, 0, 0, Fate::Failed)),
        Gap {
            lasted: at(5),
            is_back: true
        }
    );
}

#[test]
fn what_another_thing_is_served_makes_it_no_shorter() {
    let mut outcomes = outage(0, 1_000, 2_000, Fate::Failed);
    outcomes.extend(outage(1, 0, 0, Fate::Failed));
    assert_eq!(gap(&outcomes).lasted, at(1_005));
    let mut other_kind = outage(0, 0, 0, Fate::Failed);
    other_kind
        .iter_mut()
        .for_each(|outcome| outcome.kind = Kind::Touch);
    outcomes.extend(other_kind);
    assert_eq!(gap(&outcomes).lasted, at(1_005));
}

#[test]
fn one_that_is_repeated_ends_the_gap_for_all_who_ask_the_same() {
    let mut outcomes = outage(0, 1_000, 3_000, Fate::Failed);
    // Due at 1,000, and served at 1,900 when it was repeated.
    let repeated = &mut outcomes[10];
    (repeated.last, repeated.attempts) = (attempt(Fate::Served, 1_900), 4);
    assert_eq!(gap(&outcomes).lasted, at(1_005), "from 2,000 to 3,005");
    let totals = totals(&outcomes, Kind::Order);
    assert_eq!(
        (totals.sent, totals.at_once, totals.repeated, totals.failed),
        (50, 30, 1, 19)
    );
    assert_eq!(totals.slowest, at(900));
}

#[test]
fn an_answer_that_comes_late_counts_from_when_the_request_was_due() {
    let mut outcomes = outage(0, 5_000, 5_000, Fate::Failed);
    // A server that hangs for two seconds, and then answers everybody.
    for outcome in &mut outcomes[10..30] {
        let served = attempt(Fate::Served, 3_000);
        (outcome.first, outcome.last) = (served.clone(), served);
    }
    assert_eq!(
        gap(&outcomes),
        Gap {
            lasted: at(2_000),
            is_back: true
        }
    );
}

#[test]
fn what_never_comes_back_is_worse_than_any_gap() {
    let mut outcomes = outage(0, 0, 4_000, Fate::Failed);
    outcomes.extend(outage(1, 4_500, 9_000, Fate::Failed));
    let gap = gap(&outcomes);
    assert_eq!(
        gap,
        Gap {
            lasted: at(4_905 - 4_500),
            is_back: false
        }
    );
}

#[test]
fn what_was_over_before_a_moment_is_not_counted_from_it_on() {
    let outcomes = outage(0, 1_000, 2_000, Fate::Failed);
    let since = |moment| without_service(&outcomes, Kind::Order, at(moment)).lasted;
    assert_eq!(
        (since(0), since(1_500), since(2_500)),
        (at(1_005), at(505), at(5))
    );
}

#[test]
fn all_is_served_again_when_each_thing_was_served_at_once() {
    let mut outcomes = outage(0, 1_000, 2_000, Fate::Failed);
    outcomes.extend(outage(1, 1_000, 4_900, Fate::Failed));
    assert!(!is_served_since(&outcomes[..50], at(5_000)));
    assert!(is_served_since(&outcomes[..50], at(2_000)));
    assert!(is_served_since(&outcomes, at(2_000)));
    outcomes.pop();
    assert!(!is_served_since(&outcomes, at(2_000)));
    assert!(!is_served_since(&[], at(0)));
}

#[test]
fn a_bar_counts_first_attempts_by_when_they_were_due() {
    let mut outcomes = outage(0, 100, 200, Fate::Refused);
    outcomes.extend(outage(1, 100, 300, Fate::Failed));
    // However late an answer is, and whatever it is in the end.
    outcomes[1].last = attempt(Fate::Served, 4_000);
    let bars = bars(&outcomes, &[Kind::Order]);
    assert_eq!(bars.len(), 50);
    let bar = |served, refused, failed| Bar {
        served,
        refused,
        failed,
    };
    assert_eq!(
        bars[..4],
        [bar(2, 0, 0), bar(0, 1, 1), bar(1, 0, 1), bar(2, 0, 0)]
    );
    assert_eq!(
        troubles(&outcomes, Kind::Order),
        [("Failed", 2), ("Refused", 1)].into()
    );
}
