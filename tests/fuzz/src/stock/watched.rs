//! A ledger under the eyes of a replica and of a plain book.

use holdfast_stock::{Command, Decision, Effect, Ledger, Policy, Retention};

use super::book::Book;
use super::promises;
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
        promises::assert_right(command, decision.word, &before, &self.book, now_ms);
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
        promises::assert_kept(command, &decision, &before, &self.ledger, now_ms);
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
