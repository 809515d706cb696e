//! What the answer to a command promises.

use holdfast_stock::{Command, Decision, Ending, Id, Ledger, Standing, State, Word};

use super::book::Book;

/// Panics unless units are had if and only if they are there. The book is that of the ledger before.
pub fn assert_right(command: &Command, word: Word, before: &Ledger, book: &Book, now_ms: u64) {
    let was = before.summary(now_ms);
    match command {
        Command::Reserve { quantity, .. } => {
            assert!(
                word != Word::OutOfStock || was.available < *quantity,
                "{command:?}: {was:?}"
            );
        }
        Command::Prepare { id, late } => match before.standing(id, now_ms) {
            Standing::Live(hold) if matches!(hold.state, State::Held { .. }) => {
                let covered = book.covered(id, now_ms) == hold.quantity;
                assert_eq!(
                    word,
                    if covered {
                        Word::Prepared
                    } else {
                        Word::SoldOut
                    },
                    "{command:?}"
                );
            }
            _ => assert!(word != Word::SoldOut || late.is_some_and(|late| was.available < late)),
        },
        Command::Confirm { id, quantity, late } => match before.standing(id, now_ms) {
            Standing::Live(hold) => {
                let covered = quantity.unwrap_or(hold.quantity) <= book.covered(id, now_ms);
                assert_eq!(
                    word,
                    if covered {
                        Word::Confirmed
                    } else {
                        Word::SoldOut
                    },
                    "{command:?}"
                );
            }
            _ => assert!(word != Word::SoldOut || late.is_some_and(|late| was.available < late)),
        },
        Command::Set { on_hand, .. } if word == Word::BelowHeld => {
            assert!(
                *on_hand < was.held && *on_hand < was.on_hand,
                "{command:?}: {was:?}"
            );
        }
        Command::Adjust { delta, .. } if word == Word::BelowHeld => {
            assert!(
                *delta < 0 && was.on_hand.saturating_add_signed(*delta) < was.held.max(1),
                "{command:?}: {was:?}"
            );
        }
        _ => {}
    }
}

/// What the answer promises must be so.
pub fn assert_kept(
    command: &Command,
    decision: &Decision,
    before: &Ledger,
    after: &Ledger,
    now_ms: u64,
) {
    let Decision {
        word,
        replayed,
        effects,
        ..
    } = decision;
    let refused = matches!(
        word,
        Word::OutOfStock
            | Word::SoldOut
            | Word::BelowHeld
            | Word::Stale
            | Word::UnknownHold
            | Word::AlreadyConfirmed
    );
    assert!(
        effects.is_empty() || !(*replayed || refused),
        "{command:?}: {decision:?}"
    );
    let (was, is) = (before.summary(now_ms), after.summary(now_ms));
    let forced = matches!(
        command,
        Command::Set { force: true, .. } | Command::Adjust { force: true, .. }
    );
    assert!(
        was.shortfall > 0 || forced || is.shortfall == 0,
        "{command:?} took what was not there"
    );
    if effects.is_empty() {
        assert!(before == after);
        return;
    }
    match command {
        Command::Set { .. } | Command::Adjust { .. } => assert_eq!(is.sold, was.sold),
        Command::Reserve { id, quantity, .. } => {
            assert_eq!(*word, Word::Reserved);
            assert_eq!(was.available.checked_sub(*quantity), Some(is.available));
            assert!(
                matches!(after.standing(id, now_ms), Standing::Live(hold) if hold.quantity == *quantity)
            );
        }
        Command::Prepare { id, .. } => {
            assert_eq!(*word, Word::Prepared);
            let standing = after.standing(id, now_ms);
            assert!(
                matches!(standing, Standing::Live(hold) if matches!(hold.state, State::Prepared { .. }))
            );
        }
        Command::Extend { id, .. } => {
            let deadline_ms = |ledger: &Ledger| match ledger.standing(id, now_ms) {
                Standing::Live(hold) => hold.deadline_ms(),
                _ => 0,
            };
            assert!(deadline_ms(after) > deadline_ms(before));
            assert_eq!(deadline_ms(after), decision.deadline_ms);
        }
        Command::Confirm { id, .. } => {
            assert_eq!(ending(after, id, now_ms), Some(Ending::Confirmed));
            assert_eq!(
                is.on_hand + is.sold,
                was.on_hand + was.sold,
                "sold units left the house"
            );
            assert!(is.sold > was.sold);
        }
        Command::Return { id, quantity, .. } => {
            assert_eq!(*word, Word::Returned);
            assert_eq!(ending(after, id, now_ms), Some(Ending::Confirmed));
            assert_eq!(
                (is.on_hand, is.sold),
                (was.on_hand + quantity, was.sold - quantity)
            );
        }
        Command::Release { id } => {
            assert_eq!(ending(after, id, now_ms), Some(Ending::Released));
            assert_eq!((is.on_hand, is.sold), (was.on_hand, was.sold));
        }
    }
}

fn ending(ledger: &Ledger, id: &Id, now_ms: u64) -> Option<Ending> {
    match ledger.standing(id, now_ms) {
        Standing::Finished(outcome) => Some(outcome.ending),
        _ => None,
    }
}
