//! How an effect changes a ledger. No clock is read and nothing is decided.

use thiserror::Error;

use crate::adjustments::Numbered;
use crate::ledger::Known;
use crate::names::Room;
use crate::packed::{Kind, Packed};
use crate::{Adjustment, Effect, Id, Ledger, MAX_SEQ, MAX_TIME_MS, MAX_UNITS};

/// An effect or a record that does not fit the ledger, which is left as it was. From a replication stream
/// this means that the two sides have come apart; repeating it cannot help.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it does not fit the ledger: {0}")]
pub struct Inconsistent(pub(crate) &'static str);

impl Ledger {
    /// Applies the effect, and raises `seq` by [`Effect::changes`].
    ///
    /// # Errors
    /// [`Inconsistent`] when the effect cannot have been decided on a ledger like this. Nothing has changed.
    pub fn apply(&mut self, effect: &Effect) -> Result<(), Inconsistent> {
        let seq = self
            .seq
            .checked_add(effect.changes())
            .filter(|seq| *seq <= MAX_SEQ)
            .ok_or(Inconsistent("its seq is exhausted"))?;
        if self.seq == 0 && !matches!(effect, Effect::Counted { .. }) {
            return Err(Inconsistent("it has not been counted yet"));
        }
        match effect {
            Effect::Counted { on_hand } => self.count(*on_hand)?,
            Effect::Adjusted { delta, id, at_ms } => {
                self.adjusted(seq, *delta, id.as_ref(), *at_ms)?
            }
            Effect::Reserved {
                id,
                quantity,
                deadline_ms,
            } => {
                self.require_unknown(id)?;
                self.require_sound(*quantity, Kind::Held, *deadline_ms)?;
                self.take(seq, id, *quantity, Kind::Held, *deadline_ms);
            }
            Effect::Retaken {
                id,
                quantity,
                at_ms,
            } => self.retaken(seq, id, *quantity, *at_ms)?,
            Effect::Prepared { id, at_ms } => {
                let number = self.require_held(id)?;
                require_time(*at_ms)?;
                self.holds.set_state(number, Kind::Prepared, *at_ms);
            }
            Effect::Extended { id, deadline_ms } => {
                let number = self.require_held(id)?;
                require_deadline(*deadline_ms)?;
                self.holds.set_state(number, Kind::Held, *deadline_ms);
            }
            Effect::Confirmed {
                id,
                quantity,
                at_ms,
            } => self.confirmed(seq, id, *quantity, *at_ms)?,
            Effect::Returned {
                id,
                return_id,
                quantity,
                at_ms,
            } => self.apply_return(seq, id, return_id, *quantity, *at_ms)?,
            Effect::Released { id, at_ms } => self.released(seq, id, *at_ms)?,
            Effect::Expired { count, at_ms } => self.expired(*count, *at_ms)?,
            Effect::Forgotten {
                outcomes,
                adjustments,
            } => self.forgotten(*outcomes, *adjustments)?,
        }
        self.seq = seq;
        Ok(())
    }

    fn count(&mut self, on_hand: u64) -> Result<(), Inconsistent> {
        if on_hand > MAX_UNITS {
            return Err(Inconsistent("the count is too large"));
        }
        self.on_hand = on_hand;
        Ok(())
    }

    fn adjusted(
        &mut self,
        seq: u64,
        delta: i64,
        id: Option<&Id>,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let on_hand = self
            .on_hand
            .checked_add_signed(delta)
            .ok_or(Inconsistent("the count would be negative"))?;
        if let Some(id) = id {
            self.require_new_adjustment(seq, id, at_ms)?;
        }
        self.count(on_hand)?;
        if let Some(id) = id {
            self.remember_adjustment(
                seq,
                Adjustment {
                    id: id.clone(),
                    delta,
                    at_ms,
                    hold: None,
                },
            );
        }
        Ok(())
    }

    /// A hold past due that was not swept may be taken again too; it is the youngest from now on.
    fn retaken(
        &mut self,
        seq: u64,
        id: &Id,
        quantity: u64,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let known = self.known(id);
        let gone = match known {
            None => true,
            Some(Known::Live(hold) | Known::Finished(hold)) => {
                matches!(hold.kind(), Kind::Held | Kind::Expired)
            }
        };
        if !gone {
            return Err(Inconsistent(
                "only an expired or unknown hold can be taken again",
            ));
        }
        self.require_sound(quantity, Kind::Prepared, at_ms)?;
        match known {
            Some(Known::Live(hold)) => self.drop_live(hold.number, id),
            Some(Known::Finished(hold)) => self.drop_finished(hold.number, id),
            None => {}
        }
        self.take(seq, id, quantity, Kind::Prepared, at_ms);
        Ok(())
    }

    fn confirmed(
        &mut self,
        seq: u64,
        id: &Id,
        quantity: u64,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let hold = self.require_live(id)?;
        require_time(at_ms)?;
        if quantity == 0 || quantity > hold.quantity {
            return Err(Inconsistent("the hold is for another quantity"));
        }
        let on_hand = self
            .on_hand
            .checked_sub(quantity)
            .ok_or(Inconsistent("the hold is not covered"))?;
        self.finish(&hold, seq, id, Kind::Confirmed, quantity, at_ms);
        self.on_hand = on_hand;
        // A reply's integers are signed; nobody lives to see this limit reached.
        self.sold = self.sold.saturating_add(quantity).min(i64::MAX as u64);
        Ok(())
    }

    fn released(&mut self, seq: u64, id: &Id, at_ms: u64) -> Result<(), Inconsistent> {
        require_time(at_ms)?;
        match self.known(id) {
            None => self.remember(Packed::new(seq, id, 0, Kind::Released, at_ms), id, 0),
            Some(Known::Live(hold)) => {
                self.finish(&hold, seq, id, Kind::Released, hold.quantity, at_ms);
            }
            Some(Known::Finished(_)) => return Err(Inconsistent("the hold is over")),
        }
        Ok(())
    }

    fn expired(&mut self, count: u64, at_ms: u64) -> Result<(), Inconsistent> {
        require_time(at_ms)?;
        let due = self.holds.overdue(at_ms).map(|hold| hold.number);
        let due: Vec<_> = due
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect();
        if count == 0 || (due.len() as u64) < count {
            return Err(Inconsistent("fewer holds are due"));
        }
        for (seq, number) in (self.seq + 1..).zip(due) {
            if let Some(hold) = self.holds.get(number).copied() {
                let id = hold.id(&self.names);
                self.finish(&hold, seq, &id, Kind::Expired, hold.quantity, at_ms);
            }
        }
        Ok(())
    }

    fn forgotten(&mut self, outcomes: u64, adjustments: u64) -> Result<(), Inconsistent> {
        if outcomes > self.outcomes.len() as u64 || adjustments > self.adjustments.len() as u64 {
            return Err(Inconsistent("it remembers less"));
        }
        for _ in 0..outcomes {
            if let Some(oldest) = self.outcomes.first().copied() {
                self.drop_finished(oldest.number, &oldest.id(&self.names));
            }
        }
        for _ in 0..adjustments {
            if let Some(oldest) = self.adjustments.first().map(|oldest| oldest.number) {
                self.drop_adjustment(oldest);
            }
        }
        Ok(())
    }

    /// Takes a new hold, which must be sound; its id and its number must be free.
    pub(crate) fn take(&mut self, number: u64, id: &Id, quantity: u64, kind: Kind, time_ms: u64) {
        self.names.insert(id, Room::Live, number);
        let hold = Packed::new(number, id, quantity, kind, time_ms);
        self.holds.insert(hold);
    }

    /// Remembers a finished hold; its id and its number must be free.
    pub(crate) fn remember(&mut self, hold: Packed, id: &Id, returned: u64) {
        self.names.insert(id, Room::Finished, hold.number);
        self.outcomes.insert(hold, returned);
    }

    /// Remembers an adjustment; its id and its number must be free.
    pub(crate) fn remember_adjustment(&mut self, number: u64, adjustment: Adjustment) {
        self.names.insert(&adjustment.id, Room::Adjustments, number);
        self.adjustments.insert(Numbered { number, adjustment });
    }

    pub(crate) fn drop_live(&mut self, number: u64, id: &Id) {
        self.names.remove(id, Room::Live, number);
        self.holds.remove(number);
    }

    pub(crate) fn drop_finished(&mut self, number: u64, id: &Id) {
        self.names.remove(id, Room::Finished, number);
        self.outcomes.remove(number);
    }

    pub(crate) fn drop_adjustment(&mut self, number: u64) {
        if let Some(dropped) = self.adjustments.remove(number) {
            self.names
                .remove(&dropped.adjustment.id, Room::Adjustments, number);
        }
    }

    fn finish(&mut self, hold: &Packed, seq: u64, id: &Id, kind: Kind, quantity: u64, at_ms: u64) {
        self.drop_live(hold.number, id);
        self.remember(Packed::new(seq, id, quantity, kind, at_ms), id, 0);
    }

    /// Whether there can be such a live hold.
    pub(crate) fn require_sound(
        &self,
        quantity: u64,
        kind: Kind,
        time_ms: u64,
    ) -> Result<(), Inconsistent> {
        if quantity == 0 || quantity > MAX_UNITS {
            return Err(Inconsistent("the quantity is out of range"));
        }
        // More may be held than there are units, after a FORCE and while the sweep is behind.
        if self.holds.units() > i64::MAX as u64 - MAX_UNITS {
            return Err(Inconsistent("too much is held"));
        }
        match kind {
            Kind::Held => require_deadline(time_ms),
            _ => require_time(time_ms),
        }
    }

    pub(crate) fn require_unknown(&self, id: &Id) -> Result<(), Inconsistent> {
        match self.known(id) {
            None => Ok(()),
            Some(_) => Err(Inconsistent("the hold id is known already")),
        }
    }

    pub(crate) fn require_new_adjustment(
        &self,
        number: u64,
        id: &Id,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        if self.adjustment(id).is_some() || self.adjustments.get(number).is_some() {
            return Err(Inconsistent("the adjustment is known already"));
        }
        require_time(at_ms)
    }

    fn require_live(&self, id: &Id) -> Result<Packed, Inconsistent> {
        match self.known(id) {
            Some(Known::Live(hold)) => Ok(hold),
            _ => Err(Inconsistent("there is no such live hold")),
        }
    }

    /// The number of a live hold that still has a deadline.
    fn require_held(&self, id: &Id) -> Result<u64, Inconsistent> {
        let hold = self.require_live(id)?;
        if hold.kind() != Kind::Held {
            return Err(Inconsistent("the hold has no deadline any more"));
        }
        Ok(hold.number)
    }
}

pub(crate) fn require_time(time_ms: u64) -> Result<(), Inconsistent> {
    if time_ms > MAX_TIME_MS {
        return Err(Inconsistent("a time is out of range"));
    }
    Ok(())
}

fn require_deadline(deadline_ms: u64) -> Result<(), Inconsistent> {
    // 0 stands for "no deadline" in replies.
    if deadline_ms == 0 {
        return Err(Inconsistent("a hold needs a deadline"));
    }
    require_time(deadline_ms)
}
