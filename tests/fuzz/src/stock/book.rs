//! A ledger kept in the plainest way there is: lists, walked from end to end.

use holdfast_stock::{Adjustment, Effect, Ending, Hold, Id, Ledger, Outcome, Record, State};

/// What a ledger's records must be after the effects that went into it. It believes everything that it is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    on_hand: u64,
    sold: u64,
    seq: u64,
    holds: Vec<(u64, Hold)>,
    outcomes: Vec<(u64, Outcome)>,
    adjustments: Vec<(u64, Adjustment)>,
}

impl Book {
    /// The book of a ledger as it stands.
    pub fn of(ledger: &Ledger) -> Self {
        let mut book = Self::default();
        for record in ledger.records() {
            match record {
                Record::Base { on_hand, sold, seq } => {
                    (book.on_hand, book.sold, book.seq) = (on_hand, sold, seq);
                }
                Record::Hold { number, hold } => book.holds.push((number, hold)),
                Record::Outcome { number, outcome } => book.outcomes.push((number, outcome)),
                Record::Adjustment { number, adjustment } => {
                    book.adjustments.push((number, adjustment))
                }
            }
        }
        book.sort();
        book
    }

    /// Writes down an effect that the ledger has taken.
    pub fn write(&mut self, effect: &Effect) {
        let seq = self.seq + effect.changes();
        match effect.clone() {
            Effect::Counted { on_hand } => self.on_hand = on_hand,
            Effect::Adjusted { delta, id, at_ms } => {
                self.on_hand = self.on_hand.strict_add_signed(delta);
                self.adjustments.extend(id.map(|id| {
                    (
                        seq,
                        Adjustment {
                            id,
                            delta,
                            at_ms,
                            hold: None,
                        },
                    )
                }));
            }
            Effect::Reserved {
                id,
                quantity,
                deadline_ms,
            } => {
                let state = State::Held { deadline_ms };
                self.holds.push((
                    seq,
                    Hold {
                        id,
                        quantity,
                        state,
                    },
                ));
            }
            Effect::Retaken {
                id,
                quantity,
                at_ms,
            } => {
                self.outcomes.retain(|(_, outcome)| outcome.id != id);
                // One that is past due and was not swept is live.
                self.holds.retain(|(_, hold)| hold.id != id);
                let state = State::Prepared { since_ms: at_ms };
                self.holds.push((
                    seq,
                    Hold {
                        id,
                        quantity,
                        state,
                    },
                ));
            }
            Effect::Prepared { id, at_ms } => {
                self.hold(&id).state = State::Prepared { since_ms: at_ms }
            }
            Effect::Extended { id, deadline_ms } => {
                self.hold(&id).state = State::Held { deadline_ms }
            }
            Effect::Confirmed {
                id,
                quantity,
                at_ms,
            } => {
                self.finish(&id, seq, Ending::Confirmed, Some(quantity), at_ms);
                self.on_hand -= quantity;
                self.sold = self.sold.saturating_add(quantity).min(i64::MAX as u64);
            }
            Effect::Released { id, at_ms } => self.finish(&id, seq, Ending::Released, None, at_ms),
            Effect::Expired { count, at_ms } => {
                for number in self.seq + 1..=self.seq + count {
                    let first = (self.holds.iter())
                        .filter(|(_, hold)| hold.deadline_ms() > 0)
                        .min_by_key(|(number, hold)| (hold.deadline_ms(), *number));
                    let id = first.expect("as many as were told").1.id.clone();
                    self.finish(&id, number, Ending::Expired, None, at_ms);
                }
            }
            Effect::Returned {
                id,
                return_id,
                quantity,
                at_ms,
            } => {
                let sold = self
                    .outcomes
                    .iter_mut()
                    .find(|(_, outcome)| outcome.id == id);
                sold.expect("a sold hold").1.returned += quantity;
                self.on_hand += quantity;
                self.sold -= quantity;
                let delta = quantity as i64;
                self.adjustments.push((
                    seq,
                    Adjustment {
                        id: return_id,
                        delta,
                        at_ms,
                        hold: Some(id),
                    },
                ));
            }
            Effect::Forgotten {
                outcomes,
                adjustments,
            } => {
                self.outcomes.drain(..outcomes as usize);
                self.adjustments.drain(..adjustments as usize);
            }
        }
        self.seq = seq;
        self.sort();
    }

    /// Units of the live hold that are covered: the oldest hold first, as far as the count goes, without those past due.
    pub fn covered(&self, id: &Id, now_ms: u64) -> u64 {
        let mut left = self.on_hand;
        for (_, hold) in self.holds.iter().filter(|(_, hold)| !hold.is_due(now_ms)) {
            let covered = hold.quantity.min(left);
            if hold.id == *id {
                return covered;
            }
            left -= covered;
        }
        0
    }

    fn hold(&mut self, id: &Id) -> &mut Hold {
        let found = self.holds.iter_mut().find(|(_, hold)| hold.id == *id);
        &mut found.expect("a live hold").1
    }

    /// Ends a hold, or one that never was, with the units that were sold or else all that it had.
    fn finish(&mut self, id: &Id, seq: u64, ending: Ending, sold: Option<u64>, at_ms: u64) {
        let at = self.holds.iter().position(|(_, hold)| hold.id == *id);
        let held = at.map_or(0, |at| self.holds.remove(at).1.quantity);
        let quantity = sold.unwrap_or(held);
        let id = id.clone();
        self.outcomes.push((
            seq,
            Outcome {
                id,
                ending,
                quantity,
                returned: 0,
                at_ms,
            },
        ));
    }

    fn sort(&mut self) {
        self.holds.sort_by_key(|(number, _)| *number);
        self.outcomes.sort_by_key(|(number, _)| *number);
        self.adjustments.sort_by_key(|(number, _)| *number);
    }
}
