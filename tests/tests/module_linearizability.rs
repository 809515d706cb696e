//! Whatever clients ask of one key at once, they are answered as if their commands had come one after another.
//!
//! Histories of real connections are judged by a published checker: todc-utils, which has the algorithm of Wing and Gong
//! with Lowe's extension. `HOLDFAST_HISTORIES` says how many of them, `HOLDFAST_HISTORIES_SEED` with which seed.

#[path = "module_support/histories/mod.rs"]
mod histories;
mod module_support;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use histories::record::{Actions, Deadlines, overlaps, shown};
use histories::specification::{Command, ON_HAND, Operation, Reply, units};
use histories::{Trial, is_linearizable};
use module_support::redis;
use todc_utils::linearizability::history::Action;

/// What every run must have met in each of its two halves, or it has shown little.
const WORDS: [&str; 11] = [
    "OK",
    "RESERVED",
    "PREPARED",
    "EXTENDED",
    "CONFIRMED",
    "RELEASED",
    "RETURNED",
    "OUT_OF_STOCK",
    "ALREADY_CONFIRMED",
    "UNKNOWN_HOLD",
    "BELOW_HELD",
];

#[test]
fn histories_whose_holds_last_are_linearizable() -> Result<()> {
    check_histories(Deadlines::Far, &WORDS)
}

#[test]
fn histories_whose_holds_are_over_meanwhile_are_linearizable() -> Result<()> {
    let words: Vec<_> = WORDS.into_iter().chain(["EXPIRED", "SOLD_OUT"]).collect();
    check_histories(Deadlines::Near, &words)
}

/// Records histories and has each judged as it is and with a lie in it.
fn check_histories(deadlines: Deadlines, words: &[&str]) -> Result<()> {
    let trial = Trial {
        histories: setting("", 200)?,
        seed: setting("_SEED", 1)?,
        deadlines,
    };
    let (mut overlapping, mut lies) = (0, 0);
    let mut seen = BTreeSet::new();
    trial.run(&redis(&[])?, |actions| {
        overlapping += overlaps(actions);
        seen.extend(replies(actions).filter_map(word).map(str::to_owned));
        let Some(lie) = oversold_by_one(actions) else {
            return Ok(());
        };
        lies += 1;
        let shown = shown(&lie);
        ensure!(
            !is_linearizable(lie),
            "a unit was sold twice and the checker did not see it:\n{shown}"
        );
        Ok(())
    })?;
    ensure!(overlapping > 0, "the clients never met");
    ensure!(lies > 0, "no history could be doctored");
    let missed: Vec<_> = words.iter().filter(|word| !seen.contains(**word)).collect();
    ensure!(missed.is_empty(), "no reply was {missed:?}");
    Ok(())
}

/// The same history, but that the first who was told OUT_OF_STOCK is told RESERVED.
fn oversold_by_one(actions: &Actions) -> Option<Actions> {
    let mut doctored = actions.clone();
    let mut responses = doctored.iter_mut().filter_map(|(_, action)| match action {
        Action::Response(operation) => Some(operation),
        Action::Call(_) => None,
    });
    let refused = responses.find(|operation| word(&operation.reply) == Some("OUT_OF_STOCK"))?;
    let Command::Reserve { for_ms, .. } = refused.command else {
        return None;
    };
    if let Reply::Outcome {
        word, deadline_ms, ..
    } = &mut refused.reply
    {
        *word = "RESERVED".to_owned();
        *deadline_ms = refused.returned_ms + for_ms;
    }
    Some(doctored)
}

fn replies(actions: &Actions) -> impl Iterator<Item = &Reply> {
    actions.iter().filter_map(|(_, action)| match action {
        Action::Response(operation) => Some(&operation.reply),
        Action::Call(_) => None,
    })
}

fn word(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Outcome { word, .. } => Some(word),
        _ => None,
    }
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match std::env::var(format!("HOLDFAST_HISTORIES{name}")) {
        Ok(value) => Ok(value.parse()?),
        Err(_) => Ok(default),
    }
}

/// Two clients at once: the first calls and returns around the second.
fn around(outer: Operation, inner: Operation) -> Actions {
    vec![
        (0, Action::Call(outer.clone())),
        (1, Action::Call(inner.clone())),
        (1, Action::Response(inner)),
        (0, Action::Response(outer)),
    ]
}

/// A hold of three of the five units for 100 ms from the time 1000, asked for between 1000 and 1010.
fn three_of_five(id: u8, word: &str, available: u64, seq: u64, deadline_ms: u64) -> Operation {
    assert_eq!((units(id), ON_HAND), (3, 5));
    Operation {
        command: Command::Reserve { id, for_ms: 100 },
        reply: Reply::Outcome {
            word: word.to_owned(),
            available,
            seq,
            deadline_ms,
            replayed: false,
        },
        called_ms: 1_000,
        returned_ms: 1_010,
    }
}

#[test]
fn the_specification_sells_no_unit_twice() {
    let taken = three_of_five(2, "RESERVED", 2, 2, 1_100);
    let refused = three_of_five(5, "OUT_OF_STOCK", 2, 2, 0);
    assert!(is_linearizable(around(taken.clone(), refused.clone())));
    assert!(is_linearizable(around(refused, taken.clone())));
    for available in [0, 2, 5] {
        let taken_too = three_of_five(5, "RESERVED", available, 3, 1_100);
        assert!(!is_linearizable(around(taken.clone(), taken_too)));
    }
}

#[test]
fn the_specification_ends_no_hold_before_its_time() {
    let taken = three_of_five(2, "RESERVED", 2, 2, 1_100);
    let seen = |called_ms, returned_ms, word: &str, available| Operation {
        command: Command::Prepare { id: 2, late: false },
        reply: Reply::Outcome {
            word: word.to_owned(),
            available,
            seq: if word == "EXPIRED" { 2 } else { 3 },
            deadline_ms: 0,
            replayed: word == "EXPIRED",
        },
        called_ms,
        returned_ms,
    };
    let then = |second: Operation| {
        let both = [taken.clone(), second];
        let actions = both.into_iter().flat_map(|operation| {
            [Action::Call(operation.clone()), Action::Response(operation)].map(|action| (0, action))
        });
        is_linearizable(actions.collect())
    };
    assert!(then(seen(1_050, 1_060, "PREPARED", 2)));
    assert!(!then(seen(1_050, 1_060, "EXPIRED", 5)));
    assert!(then(seen(1_090, 1_110, "EXPIRED", 5)));
    assert!(then(seen(1_090, 1_110, "PREPARED", 2)));
    assert!(!then(seen(1_100, 1_110, "PREPARED", 2)));
}
