//! RESERVE, EXTEND and RELEASE: a hold taken, kept for longer, given back.

use crate::{
    Decision, Effect, Ending, Hold, Id, Ledger, Misuse, Policy, Standing, State, Until, Word,
};

impl Ledger {
    pub(super) fn decide_reserve(
        &self,
        id: &Id,
        quantity: u64,
        until: Until,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        match self.standing(id, now_ms) {
            Standing::Live(hold) => {
                hold.require_quantity(quantity)?;
                return Ok(Decision::replayed(Word::Reserved, hold.deadline_ms()));
            }
            Standing::Due(_) => return Ok(Decision::replayed(Word::Expired, 0)),
            Standing::Finished(outcome) => return Ok(Decision::replayed(outcome.ending.word(), 0)),
            Standing::Unknown => {}
        }
        let deadline_ms = until.resolve(policy, now_ms)?;
        let Some(room) = self.make_room(quantity, policy, now_ms) else {
            return Ok(Decision::refused(Word::OutOfStock));
        };
        let reserved = Effect::Reserved {
            id: id.clone(),
            quantity,
            deadline_ms,
        };
        Ok(Decision::done(
            Word::Reserved,
            deadline_ms,
            room.into_iter().chain([reserved]).collect(),
        ))
    }

    pub(super) fn decide_extend(
        &self,
        id: &Id,
        for_ms: u64,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        match self.standing(id, now_ms) {
            Standing::Live(Hold {
                state: State::Prepared { .. },
                ..
            }) => Ok(Decision::replayed(Word::Prepared, 0)),
            Standing::Live(hold) => {
                let deadline_ms = Until::In(for_ms).resolve(policy, now_ms)?;
                if deadline_ms <= hold.deadline_ms() {
                    return Ok(Decision::replayed(Word::Extended, hold.deadline_ms()));
                }
                let extended = Effect::Extended {
                    id: id.clone(),
                    deadline_ms,
                };
                Ok(Decision::done(Word::Extended, deadline_ms, vec![extended]))
            }
            Standing::Due(_) => Ok(Decision::replayed(Word::Expired, 0)),
            Standing::Finished(outcome) => Ok(match outcome.ending {
                Ending::Confirmed => Decision::refused(Word::AlreadyConfirmed),
                ending => Decision::replayed(ending.word(), 0),
            }),
            Standing::Unknown => Ok(Decision::refused(Word::UnknownHold)),
        }
    }

    pub(super) fn decide_release(&self, id: &Id, now_ms: u64) -> Decision {
        match self.standing(id, now_ms) {
            Standing::Due(_) => Decision::replayed(Word::Expired, 0),
            Standing::Finished(outcome) => match outcome.ending {
                Ending::Confirmed => Decision::refused(Word::AlreadyConfirmed),
                ending => Decision::replayed(ending.word(), 0),
            },
            // Remembered even when unknown: a RESERVE that arrives late must find it and be refused.
            Standing::Live(_) | Standing::Unknown => Decision::done(
                Word::Released,
                0,
                vec![Effect::Released {
                    id: id.clone(),
                    at_ms: now_ms,
                }],
            ),
        }
    }
}

impl Hold {
    /// Whether the hold is for as many units as were asked for.
    pub(super) fn require_quantity(&self, asked: u64) -> Result<(), Misuse> {
        if self.quantity == asked {
            return Ok(());
        }
        Err(Misuse::HoldQuantity {
            id: self.id.clone(),
            quantity: self.quantity,
            asked,
        })
    }
}
