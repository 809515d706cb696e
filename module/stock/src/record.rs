//! A ledger taken apart into records, from which it can be put together again.

use crate::apply::require_time;
use crate::packed::Packed;
use crate::{
    Adjustment, Ending, Hold, Id, Inconsistent, Ledger, MAX_SEQ, MAX_UNITS, Outcome, State,
};

/// A part of a ledger as it stands, for the RDB file and for the rewritten AOF. `Base` comes first, the others
/// in any order. A `number` is the `seq` at which the hold was taken or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The ledger itself.
    Base {
        /// Units in the house.
        on_hand: u64,
        /// Units confirmed and not returned.
        sold: u64,
        /// Its version.
        seq: u64,
    },
    /// A live hold.
    Hold {
        /// Its number.
        number: u64,
        /// The hold.
        hold: Hold,
    },
    /// A finished hold.
    Outcome {
        /// Its number.
        number: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// A remembered adjustment.
    Adjustment {
        /// Its number.
        number: u64,
        /// The adjustment.
        adjustment: Adjustment,
    },
}

impl Ledger {
    /// The records of this ledger, in an order that equal ledgers share.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let base = Record::Base {
            on_hand: self.on_hand,
            sold: self.sold,
            seq: self.seq,
        };
        let holds = self.holds.iter().map(|hold| Record::Hold {
            number: hold.number,
            hold: hold.hold(&self.names),
        });
        let outcomes = self.outcomes.iter().map(|hold| Record::Outcome {
            number: hold.number,
            outcome: self.outcomes.outcome(hold, &self.names),
        });
        let adjustments = (self.adjustments.iter()).map(|known| Record::Adjustment {
            number: known.number,
            adjustment: known.adjustment.clone(),
        });
        std::iter::once(base)
            .chain(holds)
            .chain(outcomes)
            .chain(adjustments)
    }

    /// Puts all of the records into the ledger, or none.
    ///
    /// # Errors
    /// [`Inconsistent`] when a record contradicts what is there. Nothing has changed.
    pub fn restore_all(&mut self, records: &[Record]) -> Result<(), Inconsistent> {
        for (done, record) in records.iter().enumerate() {
            if let Err(inconsistent) = self.restore(record) {
                for record in &records[..done] {
                    self.take_out(record);
                }
                return Err(inconsistent);
            }
        }
        Ok(())
    }

    /// Puts one record into the ledger.
    ///
    /// # Errors
    /// [`Inconsistent`] when it contradicts what is there. Nothing has changed.
    pub fn restore(&mut self, record: &Record) -> Result<(), Inconsistent> {
        match record {
            Record::Base { on_hand, sold, seq } => self.restore_base(*on_hand, *sold, *seq)?,
            Record::Hold { number, hold } => {
                self.require_free(*number, &hold.id)?;
                let (kind, time_ms) = hold.state.into();
                self.require_sound(hold.quantity, kind, time_ms)?;
                self.take(*number, &hold.id, hold.quantity, kind, time_ms);
            }
            Record::Outcome { number, outcome } => {
                self.require_free(*number, &outcome.id)?;
                if outcome.quantity > MAX_UNITS {
                    return Err(Inconsistent("the quantity is out of range"));
                }
                if outcome.returned > outcome.sold() {
                    return Err(Inconsistent("more came back than was sold"));
                }
                require_time(outcome.at_ms)?;
                let (kind, quantity) = (outcome.ending.into(), outcome.quantity);
                let hold = Packed::new(*number, &outcome.id, quantity, kind, outcome.at_ms);
                self.remember(hold, &outcome.id, outcome.returned);
            }
            Record::Adjustment { number, adjustment } => {
                self.require_past(*number)?;
                self.require_new_adjustment(*number, &adjustment.id, adjustment.at_ms)?;
                self.remember_adjustment(*number, adjustment.clone());
            }
        }
        Ok(())
    }

    fn restore_base(&mut self, on_hand: u64, sold: u64, seq: u64) -> Result<(), Inconsistent> {
        if self.seq != 0 {
            return Err(Inconsistent("it exists already"));
        }
        if seq == 0 || seq > MAX_SEQ || on_hand > MAX_UNITS || sold > i64::MAX as u64 {
            return Err(Inconsistent("a number is out of range"));
        }
        (self.on_hand, self.sold, self.seq) = (on_hand, sold, seq);
        Ok(())
    }

    fn take_out(&mut self, record: &Record) {
        match record {
            Record::Base { .. } => *self = Self::default(),
            Record::Hold { number, hold } => self.drop_live(*number, &hold.id),
            Record::Outcome { number, outcome } => self.drop_finished(*number, &outcome.id),
            Record::Adjustment { number, .. } => self.drop_adjustment(*number),
        }
    }

    fn require_free(&self, number: u64, id: &Id) -> Result<(), Inconsistent> {
        self.require_past(number)?;
        self.require_unknown(id)?;
        if self.holds.get(number).is_some() || self.outcomes.get(number).is_some() {
            return Err(Inconsistent("its number is taken"));
        }
        Ok(())
    }

    fn require_past(&self, number: u64) -> Result<(), Inconsistent> {
        if number == 0 || number > self.seq {
            return Err(Inconsistent(
                "its number is not one that this ledger has given",
            ));
        }
        Ok(())
    }
}

impl Record {
    /// A live hold's record.
    pub(crate) fn hold(number: u64, id: Id, quantity: u64, state: State) -> Self {
        Self::Hold {
            number,
            hold: Hold {
                id,
                quantity,
                state,
            },
        }
    }

    /// A finished hold's record; nothing of it was returned.
    pub(crate) fn outcome(number: u64, id: Id, ending: Ending, quantity: u64, at_ms: u64) -> Self {
        Self::Outcome {
            number,
            outcome: Outcome {
                id,
                ending,
                quantity,
                returned: 0,
                at_ms,
            },
        }
    }

    /// The record of a confirmed hold of which units were returned.
    pub(crate) fn returned(number: u64, id: Id, quantity: u64, at_ms: u64, returned: u64) -> Self {
        Self::Outcome {
            number,
            outcome: Outcome {
                id,
                ending: Ending::Confirmed,
                quantity,
                returned,
                at_ms,
            },
        }
    }

    /// The record of an adjustment, or of a return of that hold.
    pub(crate) fn adjustment(
        number: u64,
        id: Id,
        delta: i64,
        at_ms: u64,
        hold: Option<Id>,
    ) -> Self {
        Self::Adjustment {
            number,
            adjustment: Adjustment {
                id,
                delta,
                at_ms,
                hold,
            },
        }
    }
}
