//! SET and ADJUST: how many units there are.

use crate::{Decision, Effect, Id, Ledger, MAX_UNITS, Misuse, Word};

impl Ledger {
    pub(super) fn decide_set(
        &self,
        on_hand: u64,
        only_if: Option<u64>,
        force: bool,
        now_ms: u64,
    ) -> Decision {
        if only_if.is_some_and(|seq| seq != self.seq) {
            return Decision::refused(Word::Stale);
        }
        if self.seq > 0 && on_hand == self.on_hand {
            return Decision::replayed(Word::Ok, 0);
        }
        self.recount(on_hand, Effect::Counted { on_hand }, force, now_ms)
    }

    pub(super) fn decide_adjust(
        &self,
        delta: i64,
        id: Option<&Id>,
        only_if: Option<u64>,
        force: bool,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        if let Some(known) = id.and_then(|id| self.adjustment(id)) {
            if known.delta != delta {
                return Err(Misuse::AdjustmentDelta {
                    id: known.id.clone(),
                    delta: known.delta,
                    asked: delta,
                });
            }
            return Ok(Decision::replayed(Word::Ok, 0));
        }
        if only_if.is_some_and(|seq| seq != self.seq) {
            return Ok(Decision::refused(Word::Stale));
        }
        let on_hand = self
            .on_hand
            .checked_add_signed(delta)
            .filter(|on_hand| *on_hand <= MAX_UNITS);
        match on_hand {
            Some(on_hand) => Ok(self.recount(
                on_hand,
                Effect::Adjusted {
                    delta,
                    id: id.cloned(),
                    at_ms: now_ms,
                },
                force,
                now_ms,
            )),
            None if delta < 0 && !force => Ok(Decision::refused(Word::BelowHeld)),
            None => Err(Misuse::CountRange {
                delta,
                on_hand: self.on_hand,
            }),
        }
    }

    /// The part that SET and ADJUST share: a lower count must still cover what is held, unless forced. Holds past due
    /// are left to the sweep, however many they are.
    fn recount(&self, on_hand: u64, effect: Effect, force: bool, now_ms: u64) -> Decision {
        let lower = on_hand < self.on_hand;
        if lower && !force && on_hand < self.held(now_ms) {
            return Decision::refused(Word::BelowHeld);
        }
        Decision::done(Word::Ok, 0, vec![effect])
    }
}
