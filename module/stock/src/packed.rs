//! A hold, live or finished, in 40 bytes.

use crate::chunks::Entry;
use crate::names::Names;
use crate::{Ending, Hold, Id, MAX_TIME_MS, Outcome, State};

/// A hold as it is kept. The bytes of an id that is no UUID are among the [`Names`], under the hold's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) number: u64,
    pub(crate) quantity: u64,
    uuid: [u8; 16],
    /// The time, its [`Kind`] in the low bits, and [`LONG_ID`].
    time_and_kind: u64,
}

/// How far a hold has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Held,
    Prepared,
    Confirmed,
    Released,
    Expired,
}

const KIND_BITS: u64 = 0b0111;
const LONG_ID: u64 = 0b1000;
const TIME_SHIFT: u32 = 4;

const _: () = assert!(MAX_TIME_MS << TIME_SHIFT >> TIME_SHIFT == MAX_TIME_MS);

impl Entry for Packed {
    type Key = u64;

    fn key(&self) -> u64 {
        self.number
    }

    fn weight(&self) -> u64 {
        self.quantity
    }
}

impl Packed {
    /// `time_ms` is a live hold's deadline or when it was prepared, a finished one's end; up to [`MAX_TIME_MS`].
    pub(crate) fn new(number: u64, id: &Id, quantity: u64, kind: Kind, time_ms: u64) -> Self {
        let long = if id.uuid().is_some() { 0 } else { LONG_ID };
        Self {
            number,
            quantity,
            uuid: id.uuid().copied().unwrap_or_default(),
            time_and_kind: time_ms << TIME_SHIFT | kind as u64 | long,
        }
    }

    /// The same hold in another state.
    pub(crate) fn with(self, kind: Kind, time_ms: u64) -> Self {
        Self {
            time_and_kind: time_ms << TIME_SHIFT | kind as u64 | self.time_and_kind & LONG_ID,
            ..self
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.time_and_kind & KIND_BITS {
            0 => Kind::Held,
            1 => Kind::Prepared,
            2 => Kind::Confirmed,
            3 => Kind::Released,
            _ => Kind::Expired,
        }
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.time_and_kind >> TIME_SHIFT
    }

    /// Whether its deadline has come. A prepared hold is never due.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.kind() == Kind::Held && self.time_ms() <= now_ms
    }

    pub(crate) fn is(&self, id: &Id, names: &Names) -> bool {
        match id.uuid() {
            Some(uuid) => self.time_and_kind & LONG_ID == 0 && self.uuid == *uuid,
            None => self.time_and_kind & LONG_ID != 0 && names.long_id(self.number) == Some(id),
        }
    }

    pub(crate) fn id(&self, names: &Names) -> Id {
        let long = match self.time_and_kind & LONG_ID {
            0 => None,
            _ => names.long_id(self.number).cloned(),
        };
        long.unwrap_or_else(|| Id::from_uuid(self.uuid))
    }

    /// The live hold.
    pub(crate) fn hold(&self, names: &Names) -> Hold {
        let time_ms = self.time_ms();
        Hold {
            id: self.id(names),
            quantity: self.quantity,
            state: match self.kind() {
                Kind::Prepared => State::Prepared { since_ms: time_ms },
                _ => State::Held {
                    deadline_ms: time_ms,
                },
            },
        }
    }

    /// The finished hold, of which so many units came back.
    pub(crate) fn outcome(&self, names: &Names, returned: u64) -> Outcome {
        Outcome {
            id: self.id(names),
            ending: match self.kind() {
                Kind::Confirmed => Ending::Confirmed,
                Kind::Released => Ending::Released,
                _ => Ending::Expired,
            },
            quantity: self.quantity,
            returned,
            at_ms: self.time_ms(),
        }
    }
}

impl From<State> for (Kind, u64) {
    fn from(state: State) -> Self {
        match state {
            State::Held { deadline_ms } => (Kind::Held, deadline_ms),
            State::Prepared { since_ms } => (Kind::Prepared, since_ms),
        }
    }
}

impl From<Ending> for Kind {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Confirmed => Self::Confirmed,
            Ending::Released => Self::Released,
            Ending::Expired => Self::Expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let id = Id::new(b"0190f3a2-7c1e-7abc-8def-0123456789ab").unwrap();
        assert_eq!(size_of::<Packed>(), 40);
        for kind in [
            Kind::Held,
            Kind::Prepared,
            Kind::Confirmed,
            Kind::Released,
            Kind::Expired,
        ] {
            for time_ms in [0, 1, MAX_TIME_MS] {
                let packed = Packed::new(7, &id, 3, Kind::Held, 5).with(kind, time_ms);
                assert_eq!((packed.kind(), packed.time_ms()), (kind, time_ms));
                assert!(packed.is(&id, &Names::default()));
                assert_eq!(packed.id(&Names::default()), id);
            }
        }
    }
}
