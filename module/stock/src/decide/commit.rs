//! PREPARE and CONFIRM: a hold on its way to being sold.
//!
//! With LATE, both take a hold again that is gone, if its units can still be had.

use crate::{Decision, Effect, Ending, Id, Ledger, Misuse, Policy, Standing, State, Word};

impl Ledger {
    pub(super) fn decide_prepare(
        &self,
        id: &Id,
        late: Option<u64>,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        match (self.standing(id, now_ms), late) {
            (Standing::Live(hold), _) => {
                late.map_or(Ok(()), |late| hold.require_quantity(late))?;
                if matches!(hold.state, State::Prepared { .. }) {
                    return Ok(Decision::replayed(Word::Prepared, 0));
                }
                if self.missing_from(&hold, now_ms) > 0 {
                    return Ok(Decision::refused(Word::SoldOut));
                }
                let prepared = Effect::Prepared {
                    id: id.clone(),
                    at_ms: now_ms,
                };
                Ok(Decision::done(Word::Prepared, 0, vec![prepared]))
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Confirmed => {
                Ok(Decision::refused(Word::AlreadyConfirmed))
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Released => {
                Ok(Decision::replayed(Word::Released, 0))
            }
            (Standing::Due(_) | Standing::Finished(_), None) => {
                Ok(Decision::replayed(Word::Expired, 0))
            }
            (Standing::Unknown, None) => Ok(Decision::refused(Word::UnknownHold)),
            (Standing::Due(_) | Standing::Finished(_) | Standing::Unknown, Some(quantity)) => {
                Ok(match self.retake(id, quantity, policy, now_ms) {
                    Some(effects) => Decision::done(Word::Prepared, 0, effects),
                    None => Decision::refused(Word::SoldOut),
                })
            }
        }
    }

    pub(super) fn decide_confirm(
        &self,
        id: &Id,
        quantity: Option<u64>,
        late: Option<u64>,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        let confirmed = |quantity| Effect::Confirmed {
            id: id.clone(),
            quantity,
            at_ms: now_ms,
        };
        match (self.standing(id, now_ms), late) {
            (Standing::Live(hold), _) => {
                late.map_or(Ok(()), |late| hold.require_quantity(late))?;
                let sold = within_hold(id, quantity, hold.quantity)?;
                if sold > hold.quantity - self.missing_from(&hold, now_ms) {
                    return Ok(Decision::refused(Word::SoldOut));
                }
                Ok(Decision::done(Word::Confirmed, 0, vec![confirmed(sold)]))
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Confirmed => {
                match quantity.or(late) {
                    Some(asked) if asked != outcome.quantity => Err(Misuse::HoldQuantity {
                        id: id.clone(),
                        quantity: outcome.quantity,
                        asked,
                    }),
                    _ => Ok(Decision::replayed(Word::Confirmed, 0)),
                }
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Released => {
                Ok(Decision::replayed(Word::Released, 0))
            }
            (Standing::Due(_) | Standing::Finished(_), None) => {
                Ok(Decision::replayed(Word::Expired, 0))
            }
            (Standing::Unknown, None) => Ok(Decision::refused(Word::UnknownHold)),
            (Standing::Due(_) | Standing::Finished(_) | Standing::Unknown, Some(late)) => {
                let sold = within_hold(id, quantity, late)?;
                let Some(mut effects) = self.retake(id, late, policy, now_ms) else {
                    return Ok(Decision::refused(Word::SoldOut));
                };
                effects.push(confirmed(sold));
                Ok(Decision::done(Word::Confirmed, 0, effects))
            }
        }
    }

    /// The effects that take a hold again which is not live, or `None` when stock does not allow it.
    fn retake(&self, id: &Id, quantity: u64, policy: &Policy, now_ms: u64) -> Option<Vec<Effect>> {
        let room = self.make_room(quantity, policy, now_ms)?;
        let retaken = Effect::Retaken {
            id: id.clone(),
            quantity,
            at_ms: now_ms,
        };
        Some(room.into_iter().chain([retaken]).collect())
    }
}

/// Units to confirm of a hold of `held`: all of them unless fewer were asked for.
fn within_hold(id: &Id, asked: Option<u64>, held: u64) -> Result<u64, Misuse> {
    match asked {
        Some(asked) if asked > held => Err(Misuse::ExceedsHold {
            id: id.clone(),
            quantity: held,
            asked,
        }),
        Some(asked) => Ok(asked),
        None => Ok(held),
    }
}
