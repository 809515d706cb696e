//! The cases that a shop runs into, one by one.

use holdfast_stock::{
    Command, Decoder, ENCODING_VERSION, Effect, Id, Ledger, Misuse, Policy, Record, Retention,
    StateFilter, Until, Word,
};

const POLICY: Policy = Policy {
    default_hold_ms: 1_000,
    longest_hold_ms: LONGEST_HOLD_MS,
    expires_at_once: 256,
};
const LONGEST_HOLD_MS: u64 = 3_600_000;

fn apply_all(ledger: &mut Ledger, effects: &[Effect]) {
    for effect in effects {
        ledger
            .apply(effect)
            .unwrap_or_else(|error| panic!("{effect:?} was decided, yet {error}"));
    }
}

fn counted(on_hand: u64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger
        .apply(&Effect::Counted { on_hand })
        .expect("a first count");
    ledger
}

fn run(ledger: &mut Ledger, command: Command, now_ms: u64) -> Word {
    let decision = ledger.decide(&command, &POLICY, now_ms).expect("no misuse");
    apply_all(ledger, &decision.effects);
    decision.word
}

fn reserve(id: &str, quantity: u64, ms: u64) -> Command {
    Command::Reserve {
        id: named(id),
        quantity,
        until: Until::In(ms),
    }
}

fn named(id: &str) -> Id {
    Id::new(id.as_bytes()).expect("1 to 64 bytes")
}

#[test]
fn late_keeps_the_units_of_a_hold_that_is_due_but_not_swept() {
    let mut ledger = counted(5);
    assert_eq!(
        run(&mut ledger, reserve("a", 5, 100), 1_000),
        Word::Reserved
    );
    assert_eq!(
        run(
            &mut ledger,
            Command::Confirm {
                id: named("a"),
                quantity: None,
                late: None
            },
            1_100
        ),
        Word::Expired
    );
    assert_eq!(
        run(
            &mut ledger,
            Command::Prepare {
                id: named("a"),
                late: Some(5)
            },
            1_100
        ),
        Word::Prepared
    );
    assert_eq!(ledger.summary(9_999).held, 5);
}

#[test]
fn a_buyer_gets_what_a_hold_past_due_has_not_given_back_yet() {
    let mut ledger = counted(5);
    assert_eq!(
        run(&mut ledger, reserve("a", 3, 100), 1_000),
        Word::Reserved
    );
    assert_eq!(
        run(&mut ledger, reserve("b", 2, 200), 1_000),
        Word::Reserved
    );
    assert_eq!(
        run(&mut ledger, reserve("c", 1, 100), 1_099),
        Word::OutOfStock
    );
    assert_eq!(
        run(&mut ledger, reserve("c", 1, 100), 1_100),
        Word::Reserved
    );
    assert_eq!(
        run(
            &mut ledger,
            Command::Prepare {
                id: named("a"),
                late: Some(3)
            },
            1_100
        ),
        Word::SoldOut
    );
}

#[test]
fn holds_past_due_beyond_what_a_command_may_expire_are_gone_all_the_same() {
    for (keys, expired) in [(1, 200), (2, 128), (256, 1), (1_024, 1)] {
        let mut ledger = counted(300);
        for n in 0..300 {
            let hold = reserve(&n.to_string(), 1, 100);
            assert_eq!(run(&mut ledger, hold, 1_000), Word::Reserved);
        }
        let late = reserve("late", 200, 100);
        let decision = ledger
            .decide(&late, &POLICY.shared_by(keys), 1_100)
            .expect("no misuse");
        assert_eq!(decision.word, Word::Reserved);
        let count = match decision.effects.first() {
            Some(Effect::Expired { count, .. }) => *count,
            _ => 0,
        };
        assert_eq!(count, expired, "of {keys} keys");
        apply_all(&mut ledger, &decision.effects);
        let summary = ledger.summary(1_100);
        assert_eq!((summary.held, summary.available), (200, 100));
        assert_eq!(summary.shortfall, 0);
        let beyond = reserve("beyond", 101, 100);
        assert_eq!(run(&mut ledger, beyond, 1_100), Word::OutOfStock);
        let prepare = Command::Prepare {
            id: named("late"),
            late: None,
        };
        assert_eq!(run(&mut ledger, prepare, 1_100), Word::Prepared);
    }
}

#[test]
fn a_shortfall_that_holds_past_due_would_cover_refuses_nobody() {
    let mut ledger = counted(5);
    assert_eq!(
        run(&mut ledger, reserve("a", 3, 100), 1_000),
        Word::Reserved
    );
    assert_eq!(
        run(&mut ledger, reserve("b", 2, 900), 1_000),
        Word::Reserved
    );
    let force = Command::Set {
        on_hand: 3,
        only_if: None,
        force: true,
    };
    assert_eq!(run(&mut ledger, force, 1_001), Word::Ok);
    let confirm = Command::Confirm {
        id: named("b"),
        quantity: None,
        late: None,
    };
    assert_eq!(run(&mut ledger, confirm.clone(), 1_099), Word::SoldOut);
    assert_eq!(run(&mut ledger, confirm, 1_100), Word::Confirmed);
    let summary = ledger.summary(1_100);
    assert_eq!((summary.on_hand, summary.held, summary.sold), (1, 0, 2));
}

#[test]
fn outcomes_are_forgotten_by_age_and_never_before_a_hold_could_end() {
    let mut ledger = counted(1);
    for n in 0..5 {
        run(
            &mut ledger,
            Command::Release {
                id: named(&format!("r{n}")),
            },
            1_000 + n,
        );
    }
    let few = Retention {
        outcomes: 1,
        ..Retention::default()
    };
    assert_eq!(
        ledger.forgettable(&few, 1_000 + LONGEST_HOLD_MS - 1, 10),
        None
    );
    let effect = ledger
        .forgettable(&few, 1_002 + LONGEST_HOLD_MS, 2)
        .expect("two are old enough");
    assert_eq!(
        effect,
        Effect::Forgotten {
            outcomes: 2,
            adjustments: 0
        }
    );
    ledger.apply(&effect).expect("they are there");
    assert_eq!(ledger.outcome_count(), 3);
    assert_eq!(ledger.next_event_ms(&few), Some(1_002 + LONGEST_HOLD_MS));
}

/// A control: the checks above must notice a ledger that forgets, or this file proves nothing.
#[test]
fn a_replica_that_misses_an_effect_is_noticed() {
    let mut primary = counted(5);
    let mut replica = primary.clone();
    run(&mut primary, reserve("a", 3, 100), 1_000);
    assert!(primary != replica);
    let released = primary
        .decide(&Command::Release { id: named("a") }, &POLICY, 1_001)
        .expect("no misuse");
    apply_all(&mut primary, &released.effects);
    apply_all(&mut replica, &released.effects);
    assert_eq!(primary.available(1_001), replica.available(1_001));
    assert!(
        primary != replica,
        "equal numbers do not make equal ledgers"
    );
}

#[test]
fn a_ledger_at_its_last_version_can_be_written_and_read_but_not_changed() {
    const LAST: u64 = (1 << 53) - 1;
    let mut ledger = Ledger::default();
    let base = |seq| Record::Base {
        on_hand: 5,
        sold: 0,
        seq,
    };
    assert!(ledger.restore(&base(LAST + 1)).is_err());
    ledger.restore(&base(LAST - 1)).expect("not the last yet");
    ledger
        .apply(&Effect::Counted { on_hand: 6 })
        .expect("the last change");
    assert!(ledger.apply(&Effect::Counted { on_hand: 7 }).is_err());

    let mut decoder = Decoder::new(ENCODING_VERSION).expect("a known version");
    ledger.encode(|chunk| decoder.chunk(chunk).expect("it was just written"));
    assert_eq!(decoder.finish(), Ok(ledger));
}

fn confirmed(ledger: &mut Ledger, id: &str, quantity: u64) {
    run(ledger, reserve(id, quantity, 100), 1_000);
    let confirm = Command::Confirm {
        id: named(id),
        quantity: None,
        late: None,
    };
    assert_eq!(run(ledger, confirm, 1_000), Word::Confirmed);
}

fn return_of(id: &str, return_id: &str, quantity: u64) -> Command {
    Command::Return {
        id: named(id),
        return_id: named(return_id),
        quantity,
    }
}

#[test]
fn sold_units_come_back_once_and_no_more_than_were_sold() {
    let mut ledger = counted(10);
    confirmed(&mut ledger, "a", 4);
    let some = return_of("a", "r1", 3);
    assert_eq!(run(&mut ledger, some.clone(), 2_000), Word::Returned);
    let summary = ledger.summary(2_000);
    assert_eq!((summary.on_hand, summary.sold), (9, 1));

    let again = ledger.decide(&some, &POLICY, 3_000).expect("a retry");
    assert_eq!((again.word, again.replayed), (Word::Returned, true));
    assert!(again.effects.is_empty());

    let misuse = |command| ledger.decide(&command, &POLICY, 2_000);
    assert!(matches!(
        misuse(return_of("a", "r2", 2)),
        Err(Misuse::ExceedsSold { sold: 1, .. })
    ));
    assert!(matches!(
        misuse(return_of("a", "r1", 1)),
        Err(Misuse::AdjustmentDelta { delta: 3, .. })
    ));
    assert!(matches!(
        misuse(return_of("b", "r1", 3)),
        Err(Misuse::ReturnHold { .. })
    ));
    assert_eq!(
        run(&mut ledger, return_of("a", "r2", 1), 2_000),
        Word::Returned
    );
    assert_eq!(ledger.summary(2_000).sold, 0);
}

#[test]
fn a_return_of_what_was_not_sold_says_what_became_of_it() {
    let mut ledger = counted(10);
    for id in ["held", "prepared", "released", "expired"] {
        let ms = if id == "expired" { 5 } else { 100 };
        run(&mut ledger, reserve(id, 1, ms), 1_000);
    }
    let prepare = Command::Prepare {
        id: named("prepared"),
        late: None,
    };
    run(&mut ledger, prepare, 1_001);
    run(
        &mut ledger,
        Command::Release {
            id: named("released"),
        },
        1_001,
    );
    for (id, word) in [
        ("held", Word::Reserved),
        ("prepared", Word::Prepared),
        ("released", Word::Released),
        ("expired", Word::Expired),
        ("unknown", Word::UnknownHold),
    ] {
        let before = ledger.clone();
        assert_eq!(run(&mut ledger, return_of(id, "r", 1), 1_010), word, "{id}");
        assert!(ledger == before);
    }
}

/// Once the outcome is forgotten, the same return is booked as an adjustment under the same id, and is found to
/// have been applied.
#[test]
fn a_return_outlives_the_outcome_of_its_hold() {
    let mut ledger = counted(10);
    confirmed(&mut ledger, "a", 4);
    run(&mut ledger, return_of("a", "r1", 4), 2_000);
    let forgotten = ledger.forgettable(&Retention::default(), 1_000 + LONGEST_HOLD_MS, 10);
    apply_all(&mut ledger, &[forgotten.expect("the outcome is old")]);
    assert_eq!(ledger.outcome_count(), 0);
    let adjust = |id: &str| Command::Adjust {
        delta: 4,
        id: Some(named(id)),
        only_if: None,
        force: false,
    };
    let adjusted = ledger.decide(&adjust("r1"), &POLICY, 9_000).expect("known");
    assert!(adjusted.replayed && adjusted.effects.is_empty());
    assert_eq!(
        run(&mut ledger, return_of("a", "r2", 4), 9_000),
        Word::UnknownHold
    );
    assert_eq!(run(&mut ledger, adjust("r2"), 9_000), Word::Ok);
    let late = ledger.decide(&return_of("a", "r2", 4), &POLICY, 9_000);
    assert!(late.expect("the same units").replayed);
}

#[test]
fn pages_of_holds_show_each_of_them_once() {
    let mut ledger = counted(100);
    for n in 0..7 {
        run(&mut ledger, reserve(&format!("h{n}"), 1, 100), 1_000);
    }
    for n in [1, 4, 6] {
        let prepare = Command::Prepare {
            id: named(&format!("h{n}")),
            late: None,
        };
        run(&mut ledger, prepare, 1_000 + n);
    }
    assert_eq!(ledger.oldest_prepared_ms(), Some(1_001));
    let walk = |state, count| {
        let (mut ids, mut after) = (Vec::new(), 0);
        loop {
            let page = ledger.holds_page(state, after, count);
            assert!(page.holds.len() <= count);
            ids.extend(page.holds.iter().map(|(_, hold)| hold.id.to_string()));
            after = page.next;
            if after == 0 {
                return ids.join(" ");
            }
        }
    };
    for count in [1, 2, 3, 7, 100] {
        assert_eq!(walk(None, count), "h0 h1 h2 h3 h4 h5 h6");
        assert_eq!(walk(Some(StateFilter::Held), count), "h0 h2 h3 h5");
        assert_eq!(walk(Some(StateFilter::Prepared), count), "h1 h4 h6");
    }
}

#[test]
fn the_policy_rules_new_deadlines() {
    let ledger = counted(10);
    let decide = |until, policy: &Policy| {
        let command = Command::Reserve {
            id: named("a"),
            quantity: 1,
            until,
        };
        ledger
            .decide(&command, policy, 1_000)
            .map(|decision| decision.deadline_ms)
    };
    assert_eq!(decide(Until::Default, &POLICY), Ok(2_000));
    let short = Policy {
        longest_hold_ms: 300,
        ..POLICY
    };
    assert_eq!(decide(Until::Default, &short), Ok(1_300));
    assert_eq!(decide(Until::In(300), &short), Ok(1_300));
    assert!(matches!(
        decide(Until::In(301), &short),
        Err(Misuse::DeadlineTooFar {
            longest_ms: 300,
            ..
        })
    ));
}

#[test]
fn nothing_is_decided_that_the_last_seq_leaves_no_room_for() {
    let mut ledger = Ledger::default();
    let base = Record::Base {
        on_hand: 5,
        sold: 0,
        seq: (1 << 53) - 2,
    };
    ledger.restore(&base).expect("a first record");
    assert_eq!(run(&mut ledger, reserve("a", 1, 100), 0), Word::Reserved);
    assert_eq!(run(&mut ledger, reserve("a", 1, 100), 1), Word::Reserved);
    assert_eq!(
        ledger.decide(&reserve("b", 1, 100), &POLICY, 1),
        Err(Misuse::SeqExhausted)
    );
}

/// The holds whose units a buyer gets are expired for good, or a clock that goes back would find them held twice. A
/// command expires no more than it needs, and leaves a multitude to the sweep.
#[test]
fn a_buyer_expires_the_holds_whose_units_he_gets() {
    let mut ledger = counted(1_000);
    for n in 0..1_000 {
        run(&mut ledger, reserve(&format!("h{n}"), 1, 100), 1_000);
    }
    let expired = |ledger: &Ledger, quantity| {
        let decision = ledger.decide(&reserve("buyer", quantity, 100), &POLICY, 1_100);
        match decision.expect("no misuse").effects.first() {
            Some(Effect::Expired { count, .. }) => *count,
            _ => 0,
        }
    };
    assert_eq!(
        [1, 3, 256, 1_000].map(|quantity| expired(&ledger, quantity)),
        [1, 3, 256, 256]
    );
    assert_eq!(
        run(&mut ledger, reserve("buyer", 3, 100), 1_100),
        Word::Reserved
    );
    let summary = ledger.summary(1_050);
    assert_eq!((summary.held, summary.shortfall), (1_000, 0));
}
