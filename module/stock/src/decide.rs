//! What a command comes to. Nothing here changes the ledger.

use crate::{
    Command, Decision, Effect, Ending, Hold, Id, Ledger, MAX_UNITS, Misuse, Policy, Standing,
    State, Until, Word,
};

impl Ledger {
    /// Decides the command as of `now_ms` (Unix milliseconds): the outcome, and the effects that bring it about.
    /// The policy rules new deadlines only.
    ///
    /// # Errors
    /// [`Misuse`] when the command makes no sense. There is nothing to undo.
    pub fn decide(
        &self,
        command: &Command,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        match command {
            Command::Set {
                on_hand,
                only_if,
                force,
            } => Ok(self.set(*on_hand, *only_if, *force, now_ms)),
            Command::Adjust {
                delta,
                id,
                only_if,
                force,
            } => self.adjust(*delta, id.as_ref(), *only_if, *force, now_ms),
            Command::Reserve {
                id,
                quantity,
                until,
            } => self.reserve(id, *quantity, *until, policy, now_ms),
            Command::Prepare { id, late } => self.prepare(id, *late, now_ms),
            Command::Extend { id, for_ms } => self.extend(id, *for_ms, policy, now_ms),
            Command::Confirm { id, quantity, late } => self.confirm(id, *quantity, *late, now_ms),
            Command::Release { id } => Ok(self.release(id, now_ms)),
            Command::Return {
                id,
                return_id,
                quantity,
            } => self.decide_return(id, return_id, *quantity, now_ms),
        }
    }

    fn set(&self, on_hand: u64, only_if: Option<u64>, force: bool, now_ms: u64) -> Decision {
        if only_if.is_some_and(|seq| seq != self.seq) {
            return Decision::refused(Word::Stale);
        }
        if self.seq > 0 && on_hand == self.on_hand {
            return Decision::replayed(Word::Ok, 0);
        }
        self.recount(on_hand, Effect::Counted { on_hand }, force, now_ms)
    }

    fn adjust(
        &self,
        delta: i64,
        id: Option<&Id>,
        only_if: Option<u64>,
        force: bool,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        if let Some(known) = id.and_then(|id| self.adjustments.get(id)) {
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

    /// The part that SET and ADJUST share: a lower count must still cover what is held, unless forced.
    fn recount(&self, on_hand: u64, effect: Effect, force: bool, now_ms: u64) -> Decision {
        let uncovered = self.holds.units().saturating_sub(on_hand);
        let expired = if uncovered == 0 || on_hand >= self.on_hand {
            None
        } else if self.holds.due(now_ms).0 >= uncovered {
            self.expire_units(uncovered, now_ms)
        } else if force {
            self.overdue(now_ms, usize::MAX)
        } else {
            return Decision::refused(Word::BelowHeld);
        };
        Decision::done(Word::Ok, 0, expired.into_iter().chain([effect]).collect())
    }

    fn reserve(
        &self,
        id: &Id,
        quantity: u64,
        until: Until,
        policy: &Policy,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        match self.standing(id, now_ms) {
            Standing::Live(hold) => {
                same_quantity(&hold, quantity)?;
                return Ok(Decision::replayed(Word::Reserved, hold.deadline_ms()));
            }
            Standing::Due(_) => return Ok(Decision::replayed(Word::Expired, 0)),
            Standing::Finished(outcome) => return Ok(Decision::replayed(outcome.ending.word(), 0)),
            Standing::Unknown => {}
        }
        let deadline_ms = until.resolve(policy, now_ms)?;
        let Some(room) = self.make_room(quantity, now_ms) else {
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

    fn prepare(&self, id: &Id, late: Option<u64>, now_ms: u64) -> Result<Decision, Misuse> {
        match (self.standing(id, now_ms), late) {
            (Standing::Due(_), None) => Ok(Decision::replayed(Word::Expired, 0)),
            // With LATE, a hold that is due but was not swept has its units still.
            (Standing::Live(hold) | Standing::Due(hold), _) => {
                late.map_or(Ok(()), |late| same_quantity(&hold, late))?;
                if matches!(hold.state, State::Prepared { .. }) {
                    return Ok(Decision::replayed(Word::Prepared, 0));
                }
                let (missing, relief) = self.missing_from(&hold, now_ms);
                if missing > 0 {
                    return Ok(Decision::refused(Word::SoldOut));
                }
                let prepared = Effect::Prepared {
                    id: id.clone(),
                    at_ms: now_ms,
                };
                let effects = relief.into_iter().chain([prepared]).collect();
                Ok(Decision::done(Word::Prepared, 0, effects))
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Confirmed => {
                Ok(Decision::refused(Word::AlreadyConfirmed))
            }
            (Standing::Finished(outcome), _) if outcome.ending == Ending::Released => {
                Ok(Decision::replayed(Word::Released, 0))
            }
            (Standing::Finished(_), None) => Ok(Decision::replayed(Word::Expired, 0)),
            (Standing::Unknown, None) => Ok(Decision::refused(Word::UnknownHold)),
            (Standing::Finished(_) | Standing::Unknown, Some(quantity)) => {
                Ok(match self.retake(id, quantity, now_ms) {
                    Some(effects) => Decision::done(Word::Prepared, 0, effects),
                    None => Decision::refused(Word::SoldOut),
                })
            }
        }
    }

    fn extend(
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

    fn confirm(
        &self,
        id: &Id,
        quantity: Option<u64>,
        late: Option<u64>,
        now_ms: u64,
    ) -> Result<Decision, Misuse> {
        let confirmed = |quantity| Effect::Confirmed {
            id: id.clone(),
            quantity,
            at_ms: now_ms,
        };
        match (self.standing(id, now_ms), late) {
            (Standing::Due(_), None) => Ok(Decision::replayed(Word::Expired, 0)),
            (Standing::Live(hold) | Standing::Due(hold), _) => {
                late.map_or(Ok(()), |late| same_quantity(&hold, late))?;
                let sold = within_hold(id, quantity, hold.quantity)?;
                let (missing, relief) = self.missing_from(&hold, now_ms);
                if sold > hold.quantity - missing {
                    return Ok(Decision::refused(Word::SoldOut));
                }
                let effects = relief.into_iter().chain([confirmed(sold)]).collect();
                Ok(Decision::done(Word::Confirmed, 0, effects))
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
            (Standing::Finished(_), None) => Ok(Decision::replayed(Word::Expired, 0)),
            (Standing::Unknown, None) => Ok(Decision::refused(Word::UnknownHold)),
            (Standing::Finished(_) | Standing::Unknown, Some(late)) => {
                let sold = within_hold(id, quantity, late)?;
                let Some(mut effects) = self.retake(id, late, now_ms) else {
                    return Ok(Decision::refused(Word::SoldOut));
                };
                effects.push(confirmed(sold));
                Ok(Decision::done(Word::Confirmed, 0, effects))
            }
        }
    }

    fn release(&self, id: &Id, now_ms: u64) -> Decision {
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

    /// The effects that take a hold again which is not live, or `None` when stock does not allow it.
    fn retake(&self, id: &Id, quantity: u64, now_ms: u64) -> Option<Vec<Effect>> {
        let room = self.make_room(quantity, now_ms)?;
        let retaken = Effect::Retaken {
            id: id.clone(),
            quantity,
            at_ms: now_ms,
        };
        Some(room.into_iter().chain([retaken]).collect())
    }

    /// `None` when `quantity` units cannot be had; else the effect, if one is needed, that frees enough of
    /// the holds past due. A shop must not turn a buyer away because the sweep has not come by.
    fn make_room(&self, quantity: u64, now_ms: u64) -> Option<Option<Effect>> {
        let wanted = self.holds.units().saturating_add(quantity);
        let lacking = wanted.saturating_sub(self.on_hand);
        if lacking == 0 {
            Some(None)
        } else if self.holds.due(now_ms).0 >= lacking {
            Some(self.expire_units(lacking, now_ms))
        } else {
            None
        }
    }

    /// The effect that expires the fewest holds, earliest deadline first, to free `units`.
    fn expire_units(&self, units: u64, now_ms: u64) -> Option<Effect> {
        let mut freed = 0;
        let count = self.holds.by_deadline().take_while(|(_, _, quantity)| {
            let wanted = freed < units;
            freed += quantity;
            wanted
        });
        let count = count.count() as u64;
        (count > 0).then_some(Effect::Expired {
            count,
            at_ms: now_ms,
        })
    }

    /// Units of the hold that a forced shortfall leaves uncovered. If holds past due have enough for the whole
    /// shortfall, nothing is missing, and the effect that gives them back comes along.
    fn missing_from(&self, hold: &Hold, now_ms: u64) -> (u64, Option<Effect>) {
        let number = self.numbers.get(&hold.id);
        let missing = number.map_or(0, |number| self.holds.missing_from(*number, hold.quantity));
        let held = self.holds.units() - self.holds.due(now_ms).0;
        if missing == 0 || held > self.on_hand || hold.is_due(now_ms) {
            return (missing, None);
        }
        (0, self.overdue(now_ms, usize::MAX))
    }
}

impl Until {
    /// The deadline in Unix milliseconds, if it is ahead and not too far.
    fn resolve(self, policy: &Policy, now_ms: u64) -> Result<u64, Misuse> {
        let deadline_ms = match self {
            Self::Default => {
                now_ms.saturating_add(policy.default_hold_ms.min(policy.longest_hold_ms))
            }
            Self::In(ms) => now_ms.saturating_add(ms),
            Self::At(unix_ms) => unix_ms,
        };
        let ahead_ms = deadline_ms.saturating_sub(now_ms);
        if ahead_ms == 0 {
            return Err(Misuse::DeadlinePast {
                deadline_ms,
                now_ms,
            });
        }
        if ahead_ms > policy.longest_hold_ms {
            return Err(Misuse::DeadlineTooFar {
                ahead_ms,
                longest_ms: policy.longest_hold_ms,
            });
        }
        Ok(deadline_ms)
    }
}

fn same_quantity(hold: &Hold, asked: u64) -> Result<(), Misuse> {
    if hold.quantity == asked {
        return Ok(());
    }
    Err(Misuse::HoldQuantity {
        id: hold.id.clone(),
        quantity: hold.quantity,
        asked,
    })
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
