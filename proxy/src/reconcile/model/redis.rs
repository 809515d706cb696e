//! The modelled Redis: the real ledger of one key.

use std::collections::BTreeSet;

use holdfast_stock::{Command, Id, Ledger, Policy, Standing, Word};
use uuid::Uuid;

use super::World;

/// Redis, and what it has that its ledger does not show.
#[derive(Clone, Default)]
pub(super) struct Redis {
    pub(super) ledger: Option<Ledger>,
    pub(super) applied: BTreeSet<String>,
}

impl World {
    pub(super) fn seq(&self) -> Option<i64> {
        self.redis.ledger.as_ref().map(|ledger| ledger.seq() as i64)
    }

    pub(super) fn standing(&self, order: Uuid) -> Option<Standing> {
        let ledger = self.redis.ledger.as_ref()?;
        Some(ledger.standing(&named(order), self.now_ms))
    }

    /// Sends a command; `None` when there is no key, or it makes no sense.
    pub(super) fn tell(&mut self, command: Command) -> Option<Word> {
        let ledger = self.redis.ledger.as_mut()?;
        if let Some(overdue) = ledger.overdue(self.now_ms, usize::MAX) {
            ledger.apply(&overdue).expect("what was decided");
        }
        let decision = ledger
            .decide(&command, &Policy::default(), self.now_ms)
            .ok()?;
        for effect in &decision.effects {
            ledger.apply(effect).expect("what was decided");
        }
        Some(decision.word)
    }

    pub(super) fn set(&mut self, on_hand: i64) {
        self.redis = Redis {
            ledger: Some(Ledger::default()),
            applied: BTreeSet::new(),
        };
        self.tell(Command::Set {
            on_hand: on_hand as u64,
            only_if: None,
            force: false,
        });
    }
}

pub(super) fn prepare(id: Uuid, quantity: i64) -> Command {
    Command::Prepare {
        id: named(id),
        late: Some(quantity as u64),
    }
}

pub(super) fn named(order: Uuid) -> Id {
    text(&order.to_string())
}

pub(super) fn text(id: &str) -> Id {
    Id::new(id.as_bytes()).expect("1 to 64 bytes")
}
