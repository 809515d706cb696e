//! Whether units can be had, and which holds a forced shortfall falls on.

use crate::ledger::Known;
use crate::{Effect, Hold, Ledger, Policy};

impl Ledger {
    /// `None` when `quantity` units cannot be had; else the effect, if one is needed, that expires as many of the holds
    /// past due as have the units, or as many as the policy allows. A shop must not turn a buyer away because the sweep
    /// has not come by.
    pub(super) fn make_room(
        &self,
        quantity: u64,
        policy: &Policy,
        now_ms: u64,
    ) -> Option<Option<Effect>> {
        if self.held(now_ms).saturating_add(quantity) > self.on_hand {
            return None;
        }
        let taken = self.holds.units().saturating_add(quantity);
        // What was lacking before is not for this command to free.
        let lacking = taken.saturating_sub(self.on_hand).min(quantity);
        let mut freed = 0;
        let due = self.holds.overdue(now_ms).take(policy.expires_at_once);
        let needed = due.take_while(|hold| {
            let wanted = freed < lacking;
            freed += hold.quantity;
            wanted
        });
        let count = needed.count() as u64;
        Some((count > 0).then_some(Effect::Expired {
            count,
            at_ms: now_ms,
        }))
    }

    /// Units of the live hold that a shortfall leaves uncovered. It falls on the youngest holds: the oldest are covered
    /// as far as the count goes, and units that come back cover the oldest short hold first.
    pub(super) fn missing_from(&self, hold: &Hold, now_ms: u64) -> u64 {
        if self.holds.units() <= self.on_hand {
            return 0;
        }
        let shortfall = self.held(now_ms).saturating_sub(self.on_hand);
        match self.known(&hold.id) {
            Some(Known::Live(known)) if shortfall > 0 => {
                let younger = self.holds.younger_units(known.number, shortfall, now_ms);
                shortfall.saturating_sub(younger).min(hold.quantity)
            }
            _ => 0,
        }
    }
}
