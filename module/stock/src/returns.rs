//! How units that were sold come back: decided and applied in one place, because both ask the same question.

use crate::ledger::Known;
use crate::{
    Adjustment, Decision, Effect, Ending, Id, Inconsistent, Ledger, MAX_UNITS, Misuse, Standing,
    Word,
};

impl Ledger {
    pub(crate) fn decide_return(
        &self,
        id: &Id,
        return_id: &Id,
        quantity: u64,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        if let Some(known) = self.adjustment(return_id) {
            same_return(known, id, quantity)?;
            return Ok(Decision::replayed(Word::Returned, 0));
        }
        let outcome = match self.standing(id, now_ms) {
            Standing::Finished(outcome) => outcome,
            Standing::Live(hold) => {
                return Ok(Decision::replayed(hold.state.word(), hold.deadline_ms()));
            }
            Standing::Due(_) => return Ok(Decision::replayed(Word::Expired, 0)),
            Standing::Unknown => return Ok(Decision::refused(Word::UnknownHold)),
        };
        if outcome.ending != Ending::Confirmed {
            return Ok(Decision::replayed(outcome.ending.word(), 0));
        }
        let sold = outcome.returnable().min(self.sold);
        if quantity > sold {
            return Err(Misuse::ExceedsSold {
                id: outcome.id,
                sold,
                asked: quantity,
            });
        }
        if self.on_hand + quantity > MAX_UNITS {
            return Err(Misuse::CountRange {
                delta: quantity as i64,
                on_hand: self.on_hand,
            });
        }
        let returned = Effect::Returned {
            id: id.clone(),
            return_id: return_id.clone(),
            quantity,
            at_ms: now_ms,
        };
        Ok(Decision::done(Word::Returned, 0, vec![returned]))
    }

    pub(crate) fn apply_return(
        &mut self,
        seq: u64,
        id: &Id,
        return_id: &Id,
        quantity: u64,
        at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let Some(Known::Finished(hold)) = self.known(id) else {
            return Err(Inconsistent("there is no such finished hold"));
        };
        let outcome = self.outcomes.outcome(&hold, &self.names);
        if quantity == 0 || quantity > outcome.returnable() {
            return Err(Inconsistent("the hold did not sell so many units"));
        }
        let sold = self.sold.checked_sub(quantity);
        let sold = sold.ok_or(Inconsistent("fewer units were sold"))?;
        if self.on_hand + quantity > MAX_UNITS {
            return Err(Inconsistent("the count is too large"));
        }
        self.require_new_adjustment(seq, return_id, at_ms)?;
        self.outcomes.add_returned(hold.number, quantity);
        self.on_hand += quantity;
        self.sold = sold;
        self.remember_adjustment(
            seq,
            Adjustment {
                id: return_id.clone(),
                // No more than MAX_UNITS, as is every outcome's quantity.
                delta: quantity as i64,
                at_ms,
                hold: Some(id.clone()),
            },
        );
        Ok(())
    }
}

/// Whether what is known under a return's id is the same return. An adjustment of the same size is: so returns are
/// booked whose hold has been forgotten.
fn same_return(known: &Adjustment, id: &Id, quantity: u64) -> Result<(), Misuse> {
    if known.delta != quantity as i64 {
        return Err(Misuse::AdjustmentDelta {
            id: known.id.clone(),
            delta: known.delta,
            asked: quantity as i64,
        });
    }
    match &known.hold {
        Some(hold) if hold != id => Err(Misuse::ReturnHold {
            return_id: known.id.clone(),
            id: hold.clone(),
        }),
        _ => Ok(()),
    }
}
