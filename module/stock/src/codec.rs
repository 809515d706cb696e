//! The packed form of a ledger: records one after the other, numbers as LEB128 varints, cut into chunks so that
//! neither writing nor reading a ledger of a million holds needs a second copy of it in memory.
//!
//! A record is a kind byte and its fields; an id is a length byte and its bytes, length 0 standing for a UUID's 16.
//! The last record is a count of everything, so that a ledger that lost a chunk is refused.
//!
//! Version 1 knew no returns; version 2 added the kinds RETURNED and RETURN. Files of each are in `fixtures/`.

use thiserror::Error;

use crate::{Ending, Id, Inconsistent, Ledger, Record, State};

/// The version that [`Ledger::encode`] writes, and the highest that [`Decoder`] reads.
pub const ENCODING_VERSION: i32 = 2;

/// A chunk is passed on as soon as it is this long, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a payload is not a ledger. It is refused whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a later release.
    #[error(
        "its encoding version {0} is not known to this release, which reads versions 1 to {ENCODING_VERSION}"
    )]
    Version(i32),
    /// The bytes end in the middle of a record.
    #[error("it is cut short")]
    Truncated,
    /// The bytes are no record.
    #[error("it holds what is no record")]
    Malformed,
    /// The records contradict each other.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// The records are not as many as the last one says.
    #[error("its records do not add up")]
    Sums,
}

mod kind {
    pub(super) const BASE: u8 = 0;
    pub(super) const HELD: u8 = 1;
    pub(super) const PREPARED: u8 = 2;
    pub(super) const CONFIRMED: u8 = 3;
    pub(super) const RELEASED: u8 = 4;
    pub(super) const EXPIRED: u8 = 5;
    pub(super) const ADJUSTMENT: u8 = 6;
    pub(super) const END: u8 = 7;
    // Since version 2.
    pub(super) const RETURNED: u8 = 8;
    pub(super) const RETURN: u8 = 9;
}

impl Ledger {
    /// Passes the packed ledger to `sink`, chunk by chunk; none is empty. Equal ledgers give equal chunks.
    pub fn encode(&self, mut sink: impl FnMut(&[u8])) {
        let [holds, _, outcomes, adjustments] = self.sums();
        let records = (holds + outcomes + adjustments) as usize;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES.min(64 + 48 * records));
        for record in self.records() {
            if chunk.len() >= CHUNK_BYTES {
                sink(&chunk);
                chunk.clear();
            }
            write_record(&mut chunk, &record);
        }
        chunk.push(kind::END);
        for sum in self.sums() {
            write_number(&mut chunk, sum);
        }
        sink(&chunk);
    }

    fn sums(&self) -> [u64; 4] {
        [
            self.holds.len() as u64,
            self.holds.units(),
            self.outcome_count() as u64,
            self.adjustments.len() as u64,
        ]
    }
}

/// Puts a ledger together from its chunks.
///
/// Memory grows with the bytes that were really read, whatever lengths they claim.
#[derive(Debug, Default)]
pub struct Decoder {
    version: i32,
    ledger: Ledger,
    ended: bool,
}

impl Decoder {
    /// A decoder for a payload of this encoding version.
    ///
    /// # Errors
    /// [`DecodeError::Version`] when it cannot be read by this release.
    pub fn new(version: i32) -> Result<Self, DecodeError> {
        if (1..=ENCODING_VERSION).contains(&version) {
            return Ok(Self {
                version,
                ..Self::default()
            });
        }
        Err(DecodeError::Version(version))
    }

    /// Takes the next chunk, as it was passed to the sink of [`Ledger::encode`].
    ///
    /// # Errors
    /// [`DecodeError`] when it does not continue a ledger.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut bytes = Bytes(bytes);
        while !bytes.0.is_empty() {
            if self.ended {
                return Err(DecodeError::Malformed);
            }
            match bytes.record(self.version)? {
                Some(record) => self.ledger.restore(&record)?,
                None => {
                    self.ended = true;
                    for sum in self.ledger.sums() {
                        if bytes.number()? != sum {
                            return Err(DecodeError::Sums);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the last record was read, so that no chunk is to follow.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// The ledger.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the last chunk is missing.
    pub fn finish(self) -> Result<Ledger, DecodeError> {
        if self.ended && self.ledger.seq() > 0 {
            Ok(self.ledger)
        } else {
            Err(DecodeError::Truncated)
        }
    }
}

fn write_record(chunk: &mut Vec<u8>, record: &Record) {
    let mut entry = |kind: u8, number: u64, id: &Id, quantity: u64, time: u64| {
        chunk.push(kind);
        write_number(chunk, number);
        write_id(chunk, id);
        write_number(chunk, quantity);
        write_number(chunk, time);
    };
    match record {
        Record::Base { on_hand, sold, seq } => {
            chunk.push(kind::BASE);
            for number in [*on_hand, *sold, *seq] {
                write_number(chunk, number);
            }
        }
        Record::Hold { number, hold } => match hold.state {
            State::Held { deadline_ms } => {
                entry(kind::HELD, *number, &hold.id, hold.quantity, deadline_ms)
            }
            State::Prepared { since_ms } => {
                entry(kind::PREPARED, *number, &hold.id, hold.quantity, since_ms)
            }
        },
        Record::Outcome { number, outcome } => {
            let kind = match outcome.ending {
                Ending::Confirmed if outcome.returned > 0 => kind::RETURNED,
                Ending::Confirmed => kind::CONFIRMED,
                Ending::Released => kind::RELEASED,
                Ending::Expired => kind::EXPIRED,
            };
            entry(kind, *number, &outcome.id, outcome.quantity, outcome.at_ms);
            if kind == kind::RETURNED {
                write_number(chunk, outcome.returned);
            }
        }
        Record::Adjustment { number, adjustment } => {
            let kind = match adjustment.hold {
                None => kind::ADJUSTMENT,
                Some(_) => kind::RETURN,
            };
            let delta = zigzag(adjustment.delta);
            entry(kind, *number, &adjustment.id, delta, adjustment.at_ms);
            if let Some(hold) = &adjustment.hold {
                write_id(chunk, hold);
            }
        }
    }
}

fn write_number(chunk: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        chunk.push(number as u8 | 0x80);
        number >>= 7;
    }
    chunk.push(number as u8);
}

fn write_id(chunk: &mut Vec<u8>, id: &Id) {
    if let Some(uuid) = id.uuid() {
        chunk.push(0);
        chunk.extend_from_slice(uuid);
    } else {
        let bytes = id.to_bytes();
        // At most MAX_ID_BYTES, so the length fits.
        chunk.push(bytes.len() as u8);
        chunk.extend_from_slice(&bytes);
    }
}

/// Small magnitudes of either sign become small numbers.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The next record, `None` at the last.
    fn record(&mut self, version: i32) -> Result<Option<Record>, DecodeError> {
        let kind = self.byte()?;
        if version < 2 && kind > kind::END {
            return Err(DecodeError::Malformed);
        }
        if kind == kind::END {
            return Ok(None);
        }
        if kind == kind::BASE {
            let (on_hand, sold, seq) = (self.number()?, self.number()?, self.number()?);
            return Ok(Some(Record::Base { on_hand, sold, seq }));
        }
        let (number, id, quantity, time) =
            (self.number()?, self.id()?, self.number()?, self.number()?);
        Ok(Some(match kind {
            kind::HELD => Record::hold(number, id, quantity, State::Held { deadline_ms: time }),
            kind::PREPARED => {
                Record::hold(number, id, quantity, State::Prepared { since_ms: time })
            }
            kind::CONFIRMED => Record::outcome(number, id, Ending::Confirmed, quantity, time),
            kind::RELEASED => Record::outcome(number, id, Ending::Released, quantity, time),
            kind::EXPIRED => Record::outcome(number, id, Ending::Expired, quantity, time),
            kind::ADJUSTMENT => Record::adjustment(number, id, unzigzag(quantity), time, None),
            kind::RETURNED => match self.number()? {
                // A confirmed hold without returns has a kind of its own.
                0 => return Err(DecodeError::Malformed),
                returned => Record::returned(number, id, quantity, time, returned),
            },
            kind::RETURN => {
                let hold = Some(self.id()?);
                Record::adjustment(number, id, unzigzag(quantity), time, hold)
            }
            _ => return Err(DecodeError::Malformed),
        }))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.0.split_first().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(DecodeError::Malformed);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Malformed)
    }

    fn id(&mut self) -> Result<Id, DecodeError> {
        let length = self.byte()?;
        if length == 0 {
            let uuid = self
                .take(16)?
                .try_into()
                .map_err(|_| DecodeError::Truncated)?;
            return Ok(Id::from_uuid(uuid));
        }
        let bytes = self.take(usize::from(length))?;
        // A UUID that was written out would make two encodings of one ledger.
        Id::new(bytes)
            .filter(|id| id.uuid().is_none())
            .ok_or(DecodeError::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_value_at_every_length() {
        for number in [0, 1, 127, 128, 1 << 35, (1 << 53) - 1, u64::MAX] {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            assert_eq!(Bytes(&bytes).number(), Ok(number));
            assert_eq!(zigzag(unzigzag(number)), number);
        }
        assert_eq!(Bytes(&[0xff; 10]).number(), Err(DecodeError::Malformed));
        assert_eq!(Bytes(&[0xff; 3]).number(), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        assert_eq!(Decoder::new(3).map(|_| ()), Err(DecodeError::Version(3)));
        assert_eq!(Decoder::new(0).map(|_| ()), Err(DecodeError::Version(0)));
    }
}
