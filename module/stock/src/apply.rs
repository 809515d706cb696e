//! How an effect changes a ledger. No clock is read and nothing is decided.

use thiserror::Error;

use crate::adjustments::Adjustment;
use crate::{Effect, Ending, Hold, Id, Ledger, MAX_SEQ, MAX_UNITS, Outcome, State};

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
                self.take(
                    seq,
                    id,
                    *quantity,
                    State::Held {
                        deadline_ms: *deadline_ms,
                    },
                )?;
            }
            Effect::Retaken {
                id,
                quantity,
                at_ms,
            } => self.retaken(seq, id, *quantity, *at_ms)?,
            Effect::Prepared { id, at_ms } => {
                let number = self.held(id)?;
                self.holds
                    .set_state(number, State::Prepared { since_ms: *at_ms });
            }
            Effect::Extended { id, deadline_ms } => {
                let number = self.held(id)?;
                require_deadline(*deadline_ms)?;
                self.holds.set_state(
                    number,
                    State::Held {
                        deadline_ms: *deadline_ms,
                    },
                );
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
        self.holds.settle(self.on_hand);
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
        if id.is_some_and(|id| self.adjustments.conflicts(seq, id)) {
            return Err(Inconsistent("the adjustment is known already"));
        }
        self.count(on_hand)?;
        if let Some(id) = id {
            self.adjustments.insert(
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

    fn retaken(
        &mut self,
        seq: u64,
        id: &Id,
        quantity: u64,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let expired = match self.numbers.get(id) {
            None => None,
            Some(number) => match self.outcomes.get(number) {
                Some(Outcome {
                    ending: Ending::Expired,
                    ..
                }) => Some(*number),
                _ => {
                    return Err(Inconsistent(
                        "only an expired or unknown hold can be taken again",
                    ));
                }
            },
        };
        self.take(seq, id, quantity, State::Prepared { since_ms: at_ms })?;
        if let Some(number) = expired {
            self.outcomes.remove(&number);
        }
        Ok(())
    }

    fn confirmed(
        &mut self,
        seq: u64,
        id: &Id,
        quantity: u64,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let number = self.live(id)?;
        let held = self.holds.get(number).map_or(0, |hold| hold.quantity);
        if quantity == 0 || quantity > held {
            return Err(Inconsistent("the hold is for another quantity"));
        }
        let on_hand = self
            .on_hand
            .checked_sub(quantity)
            .ok_or(Inconsistent("the hold is not covered"))?;
        self.finish(number, seq, Ending::Confirmed, quantity, at_ms);
        self.on_hand = on_hand;
        // A reply's integers are signed; nobody lives to see this limit reached.
        self.sold = self.sold.saturating_add(quantity).min(i64::MAX as u64);
        Ok(())
    }

    fn released(&mut self, seq: u64, id: &Id, at_ms: u64) -> Result<(), Inconsistent> {
        if self.numbers.contains_key(id) {
            let number = self.live(id)?;
            let quantity = self.holds.get(number).map_or(0, |hold| hold.quantity);
            self.finish(number, seq, Ending::Released, quantity, at_ms);
        } else {
            self.remember(
                seq,
                Outcome {
                    id: id.clone(),
                    ending: Ending::Released,
                    quantity: 0,
                    returned: 0,
                    at_ms,
                },
            );
        }
        Ok(())
    }

    fn expired(&mut self, count: u64, at_ms: u64) -> Result<(), Inconsistent> {
        let mut first = Vec::new();
        for (deadline_ms, number, quantity) in self.holds.by_deadline() {
            if first.len() as u64 == count {
                break;
            }
            if deadline_ms > at_ms {
                return Err(Inconsistent("fewer holds are due"));
            }
            first.push((number, quantity));
        }
        if count == 0 || (first.len() as u64) < count {
            return Err(Inconsistent("fewer holds are due"));
        }
        for (seq, (number, quantity)) in (self.seq + 1..).zip(first) {
            self.finish(number, seq, Ending::Expired, quantity, at_ms);
        }
        Ok(())
    }

    fn forgotten(&mut self, outcomes: u64, adjustments: u64) -> Result<(), Inconsistent> {
        if outcomes > self.outcomes.len() as u64 || adjustments > self.adjustments.len() as u64 {
            return Err(Inconsistent("it remembers less"));
        }
        for _ in 0..outcomes {
            if let Some((_, outcome)) = self.outcomes.pop_first() {
                self.numbers.remove(&outcome.id);
            }
        }
        for _ in 0..adjustments {
            self.adjustments.forget_oldest();
        }
        Ok(())
    }

    /// Takes a new hold; its id must not be that of a live one.
    pub(crate) fn take(
        &mut self,
        number: u64,
        id: &Id,
        quantity: u64,
        state: State,
    ) -> Result<(), Inconsistent> {
        if quantity == 0 || quantity > MAX_UNITS || self.holds.units() + quantity > MAX_UNITS {
            return Err(Inconsistent("the quantity is out of range"));
        }
        if let State::Held { deadline_ms } = state {
            require_deadline(deadline_ms)?;
        }
        self.numbers.insert(id.clone(), number);
        self.holds.insert(
            number,
            Hold {
                id: id.clone(),
                quantity,
                state,
            },
        );
        Ok(())
    }

    pub(crate) fn remember(&mut self, number: u64, outcome: Outcome) {
        self.numbers.insert(outcome.id.clone(), number);
        self.outcomes.insert(number, outcome);
    }

    pub(crate) fn require_unknown(&self, id: &Id) -> Result<(), Inconsistent> {
        if self.numbers.contains_key(id) {
            return Err(Inconsistent("the hold id is known already"));
        }
        Ok(())
    }

    fn finish(&mut self, number: u64, seq: u64, ending: Ending, quantity: u64, at_ms: u64) {
        if let Some(hold) = self.holds.remove(number) {
            self.remember(
                seq,
                Outcome {
                    id: hold.id,
                    ending,
                    quantity,
                    returned: 0,
                    at_ms,
                },
            );
        }
    }

    /// The number of a live hold.
    fn live(&self, id: &Id) -> Result<u64, Inconsistent> {
        let number = self
            .numbers
            .get(id)
            .copied()
            .filter(|number| self.holds.get(*number).is_some());
        number.ok_or(Inconsistent("there is no such live hold"))
    }

    /// The number of a live hold that still has a deadline.
    fn held(&self, id: &Id) -> Result<u64, Inconsistent> {
        let number = self.live(id)?;
        match self.holds.get(number) {
            Some(Hold {
                state: State::Held { .. },
                ..
            }) => Ok(number),
            _ => Err(Inconsistent("the hold has no deadline any more")),
        }
    }
}

fn require_deadline(deadline_ms: u64) -> Result<(), Inconsistent> {
    // 0 stands for "no deadline" in replies.
    if deadline_ms == 0 {
        Err(Inconsistent("a hold needs a deadline"))
    } else {
        Ok(())
    }
}
