//! A ledger under the eyes of a replica and of a plain book.

use holdfast_stock::{
    Command, Decision, Effect, Ending, Id, Ledger, Policy, Retention, Standing, State, Word,
};

use super::book::Book;
use crate::pieces;

/// A ledger, the replica that gets its effects as text, and the book in which they are written down besides.
pub struct Watched {
    ledger: Ledger,
    replica: Ledger,
    book: Book,
    policy: Policy,
    defrag_cursor: u64,
}

impl Watched {
    pub fn new(ledger: Ledger) -> Self {
        let (replica, book) = (ledger.clone(), Book::of(&ledger));
        Self {
            ledger,
            replica,
            book,
            policy: Policy::default(),
            defrag_cursor: 0,
        }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The operator sets other limits.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Replaces the ledger by one that must equal it, such as one that was written down and read again.
    pub fn replace(&mut self, ledger: Ledger) {
        assert!(ledger == self.ledger);
        self.ledger = ledger;
    }

    /// The replica is promoted; the old primary follows from now on.
    pub fn fail_over(&mut self) {
        std::mem::swap(&mut self.ledger, &mut self.replica);
    }

    /// Decides a command and makes it true, and panics if its answer breaks a promise.
    pub fn ask(&mut self, command: &Command, now_ms: u64) {
        let before = self.ledger.clone();
        let decided = self.ledger.decide(command, &self.policy, now_ms);
        assert!(
            self.ledger == before,
            "{command:?}: deciding changed the ledger"
        );
        let decision = match decided {
            Ok(decision) => decision,
            Err(misuse) => {
                assert!(!misuse.to_string().is_empty());
                return;
            }
        };
        for effect in &decision.effects {
            if !self.apply(effect) {
                let last = (1 << 53) - 1;
                assert!(
                    self.ledger.seq() + effect.changes() > last,
                    "{effect:?} was decided and then refused"
                );
                return;
            }
        }
        assert_kept(command, &decision, &before, &self.ledger, now_ms);
        self.assert_repeatable(command, &decision, now_ms);
    }

    /// Applies an effect, wherever it comes from, and tells whether it was taken.
    pub fn apply(&mut self, effect: &Effect) -> bool {
        let before = self.ledger.clone();
        if self.ledger.apply(effect).is_err() {
            assert!(
                self.ledger == before,
                "{effect:?} was refused and changed something"
            );
            return false;
        }
        let args = effect.to_args();
        let sent =
            Effect::from_args(&pieces::borrowed(&args)).expect("what was written can be read");
        assert_eq!(sent, *effect);
        self.replica
            .apply(&sent)
            .expect("a replica follows its primary");
        self.book.write(effect);
        assert!(
            self.ledger == self.replica,
            "the replica is another after {effect:?}"
        );
        assert_eq!(Book::of(&self.ledger), self.book, "after {effect:?}");
        true
    }

    /// Some of the ledger's chunks are moved to another place in memory.
    pub fn defrag(&mut self, mut chunks: u8) {
        let before = self.ledger.clone();
        self.defrag_cursor = self.ledger.defrag(self.defrag_cursor, || {
            chunks = chunks.saturating_sub(1);
            chunks > 0
        });
        assert!(self.ledger == before, "moving the ledger changed it");
        assert_eq!(Book::of(&self.ledger), self.book);
    }

    /// The sweep comes by.
    pub fn sweep(&mut self, now_ms: u64, limit: usize) {
        let overdue = self.ledger.overdue(now_ms, limit);
        if let Some(effect) = overdue {
            assert!(self.apply(&effect) || self.ledger.seq() + effect.changes() >= 1 << 53);
        }
    }

    /// Forgets what is old enough.
    pub fn forget(&mut self, retention: &Retention, now_ms: u64, limit: usize) {
        let forgettable = self.ledger.forgettable(retention, now_ms, limit);
        if let Some(effect) = forgettable {
            assert!(self.apply(&effect) || self.ledger.seq() + effect.changes() >= 1 << 53);
        }
    }

    /// The same command again, at once, gives the same answer and changes nothing.
    fn assert_repeatable(&self, command: &Command, decision: &Decision, now_ms: u64) {
        let conditional = matches!(
            command,
            Command::Set {
                only_if: Some(_),
                ..
            } | Command::Adjust {
                only_if: Some(_),
                ..
            } | Command::Adjust { id: None, .. }
        );
        if conditional && !decision.effects.is_empty() {
            return;
        }
        let again = self
            .ledger
            .decide(command, &self.policy, now_ms)
            .expect("a retry is no misuse");
        assert_eq!(
            (again.word, again.deadline_ms),
            (decision.word, decision.deadline_ms),
            "{command:?} again"
        );
        assert!(again.effects.is_empty(), "{command:?} again has effects");
    }
}

/// What the answer promises must be so.
fn assert_kept(
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
