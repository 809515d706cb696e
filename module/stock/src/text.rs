//! Effects and records as the arguments of a command: a word, then its numbers and ids.
//!
//! | effect | record |
//! |---|---|
//! | `COUNTED on_hand` | `BASE on_hand sold seq` |
//! | `ADJUSTED delta at_ms id` | `ADJUSTED number id delta at_ms` |
//! | `RESERVED id quantity deadline_ms` | `HELD number id quantity deadline_ms` |
//! | `RETAKEN id quantity at_ms` | `PREPARED number id quantity since_ms` |
//! | `PREPARED id at_ms` | `CONFIRMED number id quantity at_ms` |
//! | `EXTENDED id deadline_ms` | `RELEASED number id quantity at_ms` |
//! | `CONFIRMED id quantity at_ms` | `EXPIRED number id quantity at_ms` |
//! | `RELEASED id at_ms` | `RETURNED number id quantity at_ms returned` |
//! | `EXPIRED count at_ms` | `RETURN number return_id quantity at_ms id` |
//! | `RETURNED id return_id quantity at_ms` | |
//! | `FORGOTTEN outcomes adjustments` | |
//!
//! An adjustment without an id has an empty one. The record of a hold is RETURNED when it was confirmed and units of it
//! came back, and each time that they did is a RETURN, which is an adjustment that knows its hold. All times are Unix milliseconds.

use thiserror::Error;

use crate::{Effect, Ending, Id, Record, State, Word};

/// Why arguments are no effect or no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// The first word is not a known one.
    #[error("its first word is unknown")]
    UnknownWord,
    /// Arguments are missing.
    #[error("an argument is missing")]
    Missing,
    /// There are arguments left over.
    #[error("there are too many arguments")]
    TooMany,
    /// A number is no number, or out of range.
    #[error("a number is not a whole number in range")]
    Number,
    /// An id is empty or too long.
    #[error("an id is not 1 to 64 bytes long")]
    Id,
}

impl Effect {
    /// The effect as command arguments.
    #[must_use]
    pub fn to_args(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Counted { on_hand } => vec![word("COUNTED"), number(*on_hand)],
            Self::Adjusted { delta, id, at_ms } => {
                let id = id.as_ref().map_or_else(Vec::new, Id::to_bytes);
                vec![word("ADJUSTED"), number(*delta), number(*at_ms), id]
            }
            Self::Reserved {
                id,
                quantity,
                deadline_ms,
            } => {
                vec![
                    word("RESERVED"),
                    id.to_bytes(),
                    number(*quantity),
                    number(*deadline_ms),
                ]
            }
            Self::Retaken {
                id,
                quantity,
                at_ms,
            } => {
                vec![
                    word("RETAKEN"),
                    id.to_bytes(),
                    number(*quantity),
                    number(*at_ms),
                ]
            }
            Self::Prepared { id, at_ms } => vec![word("PREPARED"), id.to_bytes(), number(*at_ms)],
            Self::Extended { id, deadline_ms } => {
                vec![word("EXTENDED"), id.to_bytes(), number(*deadline_ms)]
            }
            Self::Confirmed {
                id,
                quantity,
                at_ms,
            } => {
                vec![
                    word("CONFIRMED"),
                    id.to_bytes(),
                    number(*quantity),
                    number(*at_ms),
                ]
            }
            Self::Returned {
                id,
                return_id,
                quantity,
                at_ms,
            } => {
                vec![
                    word("RETURNED"),
                    id.to_bytes(),
                    return_id.to_bytes(),
                    number(*quantity),
                    number(*at_ms),
                ]
            }
            Self::Released { id, at_ms } => vec![word("RELEASED"), id.to_bytes(), number(*at_ms)],
            Self::Expired { count, at_ms } => vec![word("EXPIRED"), number(*count), number(*at_ms)],
            Self::Forgotten {
                outcomes,
                adjustments,
            } => {
                vec![word("FORGOTTEN"), number(*outcomes), number(*adjustments)]
            }
        }
    }

    /// Reads what [`Self::to_args`] wrote.
    ///
    /// # Errors
    /// [`TextError`] when the arguments are not exactly one effect.
    pub fn from_args(args: &[&[u8]]) -> Result<Self, TextError> {
        let mut args = Args(args);
        let effect = match args.next()? {
            b"COUNTED" => Self::Counted {
                on_hand: args.number()?,
            },
            b"ADJUSTED" => Self::Adjusted {
                delta: args.number()?,
                at_ms: args.number()?,
                id: args.optional_id()?,
            },
            b"RESERVED" => Self::Reserved {
                id: args.id()?,
                quantity: args.number()?,
                deadline_ms: args.number()?,
            },
            b"RETAKEN" => Self::Retaken {
                id: args.id()?,
                quantity: args.number()?,
                at_ms: args.number()?,
            },
            b"PREPARED" => Self::Prepared {
                id: args.id()?,
                at_ms: args.number()?,
            },
            b"EXTENDED" => Self::Extended {
                id: args.id()?,
                deadline_ms: args.number()?,
            },
            b"CONFIRMED" => Self::Confirmed {
                id: args.id()?,
                quantity: args.number()?,
                at_ms: args.number()?,
            },
            b"RELEASED" => Self::Released {
                id: args.id()?,
                at_ms: args.number()?,
            },
            b"RETURNED" => Self::Returned {
                id: args.id()?,
                return_id: args.id()?,
                quantity: args.number()?,
                at_ms: args.number()?,
            },
            b"EXPIRED" => Self::Expired {
                count: args.number()?,
                at_ms: args.number()?,
            },
            b"FORGOTTEN" => Self::Forgotten {
                outcomes: args.number()?,
                adjustments: args.number()?,
            },
            _ => return Err(TextError::UnknownWord),
        };
        args.end()?;
        Ok(effect)
    }
}

impl Record {
    /// The record as command arguments.
    #[must_use]
    pub fn to_args(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Base { on_hand, sold, seq } => {
                vec![word("BASE"), number(*on_hand), number(*sold), number(*seq)]
            }
            Self::Hold { number: seq, hold } => {
                let (state, time) = match hold.state {
                    State::Held { deadline_ms } => ("HELD", deadline_ms),
                    State::Prepared { since_ms } => ("PREPARED", since_ms),
                };
                vec![
                    word(state),
                    number(*seq),
                    hold.id.to_bytes(),
                    number(hold.quantity),
                    number(time),
                ]
            }
            Self::Outcome {
                number: seq,
                outcome,
            } => {
                let ending = match outcome.returned {
                    0 => outcome.ending.word(),
                    _ => Word::Returned,
                };
                let mut args = vec![
                    word(ending.as_str()),
                    number(*seq),
                    outcome.id.to_bytes(),
                    number(outcome.quantity),
                    number(outcome.at_ms),
                ];
                args.extend((outcome.returned > 0).then(|| number(outcome.returned)));
                args
            }
            Self::Adjustment {
                number: seq,
                adjustment,
            } => {
                let kind = match adjustment.hold {
                    None => "ADJUSTED",
                    Some(_) => "RETURN",
                };
                let mut args = vec![
                    word(kind),
                    number(*seq),
                    adjustment.id.to_bytes(),
                    number(adjustment.delta),
                    number(adjustment.at_ms),
                ];
                args.extend(adjustment.hold.as_ref().map(Id::to_bytes));
                args
            }
        }
    }

    /// Reads any number of records that [`Self::to_args`] wrote, one after the other.
    ///
    /// # Errors
    /// [`TextError`] when the arguments are anything else.
    pub fn all_from_args(args: &[&[u8]]) -> Result<Vec<Self>, TextError> {
        let mut args = Args(args);
        let mut records = Vec::new();
        while !args.0.is_empty() {
            records.push(args.record()?);
        }
        Ok(records)
    }
}

struct Args<'a>(&'a [&'a [u8]]);

impl<'a> Args<'a> {
    fn next(&mut self) -> Result<&'a [u8], TextError> {
        let (first, rest) = self.0.split_first().ok_or(TextError::Missing)?;
        self.0 = rest;
        Ok(first)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, TextError> {
        let text = std::str::from_utf8(self.next()?).map_err(|_| TextError::Number)?;
        text.parse().map_err(|_| TextError::Number)
    }

    fn id(&mut self) -> Result<Id, TextError> {
        Id::new(self.next()?).ok_or(TextError::Id)
    }

    fn optional_id(&mut self) -> Result<Option<Id>, TextError> {
        match self.next()? {
            b"" => Ok(None),
            id => Id::new(id).map(Some).ok_or(TextError::Id),
        }
    }

    fn end(&self) -> Result<(), TextError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(TextError::TooMany)
        }
    }

    fn record(&mut self) -> Result<Record, TextError> {
        let word = self.next()?;
        if word == b"BASE" {
            return Ok(Record::Base {
                on_hand: self.number()?,
                sold: self.number()?,
                seq: self.number()?,
            });
        }
        let (number, id) = (self.number()?, self.id()?);
        if word == b"ADJUSTED" {
            let (delta, at_ms) = (self.number()?, self.number()?);
            return Ok(Record::adjustment(number, id, delta, at_ms, None));
        }
        if word == b"RETURN" {
            let (delta, at_ms, hold) = (self.number()?, self.number()?, self.id()?);
            return Ok(Record::adjustment(number, id, delta, at_ms, Some(hold)));
        }
        let (quantity, time) = (self.number()?, self.number()?);
        Ok(match word {
            b"HELD" => Record::hold(number, id, quantity, State::Held { deadline_ms: time }),
            b"PREPARED" => Record::hold(number, id, quantity, State::Prepared { since_ms: time }),
            b"CONFIRMED" => Record::outcome(number, id, Ending::Confirmed, quantity, time),
            b"RELEASED" => Record::outcome(number, id, Ending::Released, quantity, time),
            b"EXPIRED" => Record::outcome(number, id, Ending::Expired, quantity, time),
            b"RETURNED" => Record::returned(number, id, quantity, time, self.number()?),
            _ => return Err(TextError::UnknownWord),
        })
    }
}

fn word(word: &str) -> Vec<u8> {
    word.as_bytes().to_vec()
}

fn number(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_effect_is_refused() {
        let read = |args: &[&str]| {
            Effect::from_args(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
        };
        assert_eq!(read(&[]), Err(TextError::Missing));
        assert_eq!(read(&["NONSENSE"]), Err(TextError::UnknownWord));
        assert_eq!(read(&["COUNTED"]), Err(TextError::Missing));
        assert_eq!(read(&["COUNTED", "-1"]), Err(TextError::Number));
        assert_eq!(
            read(&["COUNTED", "99999999999999999999"]),
            Err(TextError::Number)
        );
        assert_eq!(read(&["COUNTED", "1", "2"]), Err(TextError::TooMany));
        assert_eq!(read(&["PREPARED", "", "5"]), Err(TextError::Id));
        assert_eq!(read(&["COUNTED", "7"]), Ok(Effect::Counted { on_hand: 7 }));
    }
}
