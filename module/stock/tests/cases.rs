//! The cases that a shop runs into, one by one.

use holdfast_stock::{
    Command, Decoder, ENCODING_VERSION, Effect, Id, LONGEST_HOLD_MS, Ledger, Record, Retention,
    Until, Word,
};

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
    let decision = ledger.decide(&command, now_ms).expect("no misuse");
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
    assert_eq!(ledger.entries(), 3);
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
        .decide(&Command::Release { id: named("a") }, 1_001)
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
