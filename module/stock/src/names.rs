//! Which ids a ledger knows, and where what they name is found.

use std::hash::BuildHasher;
#[cfg(not(fuzzing))]
use std::hash::RandomState;
use std::sync::LazyLock;

use crate::Id;
use crate::chunks::{Chunks, Entry, Renew};

/// The index of ids: a short hash of each with the number of what it names, whose own id is to be compared, since
/// hashes collide; and the ids that are no UUIDs, which are too long to be packed.
///
/// The index is derived from the rest of the ledger and never written down, so the hash may differ from process to
/// process, and does: whoever chooses ids cannot make them collide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    places: Chunks<Place>,
    long: Chunks<LongId>,
}

/// In which room the thing with an id's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Live,
    Finished,
    Adjustments,
}

/// A hash, and a number with its room in the two low bits, in halves: so it takes 12 bytes and not 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    hash: u32,
    high: u32,
    low: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LongId {
    number: u64,
    id: Id,
}

/// A fuzzer must see the same again when it runs an input again.
#[cfg(not(fuzzing))]
type Hashing = RandomState;
#[cfg(fuzzing)]
type Hashing = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

static HASHER: LazyLock<Hashing> = LazyLock::new(Hashing::default);

impl Names {
    /// Where things are that may have this id.
    pub(crate) fn find(&self, id: &Id) -> impl Iterator<Item = (Room, u64)> {
        let hash = hash(id);
        let before = Place {
            hash,
            high: 0,
            low: 0,
        };
        (self.places.after(before))
            .take_while(move |place| place.hash == hash)
            .filter_map(|place| place.read())
    }

    pub(crate) fn insert(&mut self, id: &Id, room: Room, number: u64) {
        self.places.insert(Place::new(id, room, number));
        if id.uuid().is_none() && room != Room::Adjustments {
            let id = id.clone();
            self.long.insert(LongId { number, id });
        }
    }

    pub(crate) fn remove(&mut self, id: &Id, room: Room, number: u64) {
        self.places.remove(Place::new(id, room, number));
        if id.uuid().is_none() && room != Room::Adjustments {
            self.long.remove(number);
        }
    }

    /// The id of the hold with this number, unless it is a UUID.
    pub(crate) fn long_id(&self, number: u64) -> Option<&Id> {
        self.long.get(number).map(|long| &long.id)
    }

    /// Whether they have the same long ids, and as many places: one that stands for nothing any more is a leak.
    pub(crate) fn are_like(&self, other: &Self) -> bool {
        self.places.len() == other.places.len() && self.long == other.long
    }

    /// Its memory in bytes beyond `Self`.
    pub(crate) fn memory(&self) -> usize {
        self.places.memory() + self.long.memory() + self.long.weight() as usize
    }

    pub(crate) fn parts(&mut self) -> [&mut dyn Renew; 2] {
        [&mut self.places, &mut self.long]
    }

    pub(crate) fn chunks(&self) -> usize {
        // Each long id is an allocation of its own.
        self.places.chunks() + self.long.chunks() + self.long.len()
    }
}

impl Place {
    fn new(id: &Id, room: Room, number: u64) -> Self {
        let number = number << 2
            | match room {
                Room::Live => 1,
                Room::Finished => 2,
                Room::Adjustments => 3,
            };
        Self {
            hash: hash(id),
            high: (number >> 32) as u32,
            low: number as u32,
        }
    }

    fn read(&self) -> Option<(Room, u64)> {
        let number = u64::from(self.high) << 32 | u64::from(self.low);
        let room = match number & 3 {
            1 => Room::Live,
            2 => Room::Finished,
            3 => Room::Adjustments,
            _ => return None,
        };
        Some((room, number >> 2))
    }
}

impl Entry for Place {
    type Key = Self;

    fn key(&self) -> Self {
        *self
    }
}

impl Entry for LongId {
    type Key = u64;

    fn key(&self) -> u64 {
        self.number
    }

    fn weight(&self) -> u64 {
        self.id.heap_bytes() as u64
    }

    fn renew(&mut self) {
        self.id.renew();
    }
}

/// Bits of a hash that are used; few in this crate's own tests and to fuzzers, so that hashes collide there all the time.
const HASH_BITS: u32 = if cfg!(any(test, fuzzing)) { 3 } else { 32 };

fn hash(id: &Id) -> u32 {
    (HASHER.hash_one(id) as u32) >> (32 - HASH_BITS)
}

#[cfg(test)]
mod tests {
    use crate::{Effect, Ledger, Standing};

    use super::*;

    fn ids() -> impl Iterator<Item = Id> {
        (0..200).map(|n| {
            let text = match n % 2 {
                0 => format!("0190f3a2-7c1e-7abc-8def-0123456789{n:02x}"),
                _ => format!("order-{n}"),
            };
            Id::new(text.as_bytes()).expect("1 to 64 bytes")
        })
    }

    #[test]
    fn ids_whose_hashes_collide_are_kept_apart() {
        let mut ledger = Ledger::default();
        let mut apply = |effect: Effect| ledger.apply(&effect).expect("it fits");
        apply(Effect::Counted { on_hand: 1_000 });
        for (n, id) in (1..).zip(ids()) {
            apply(Effect::Reserved {
                id: id.clone(),
                quantity: n,
                deadline_ms: 1_000,
            });
            apply(Effect::Adjusted {
                delta: n as i64,
                id: Some(id),
                at_ms: 1,
            });
        }
        for id in ids().step_by(3) {
            apply(Effect::Released { id, at_ms: 2 });
        }
        for (n, id) in (1..).zip(ids()) {
            assert_eq!(
                ledger.adjustment(&id).map(|known| known.delta),
                Some(n as i64)
            );
            match ledger.standing(&id, 0) {
                Standing::Live(hold) => assert_eq!((hold.id, hold.quantity), (id, n)),
                Standing::Finished(outcome) => {
                    assert_eq!((outcome.id, outcome.quantity), (id, n));
                    assert_eq!((n - 1) % 3, 0);
                }
                other => panic!("{id} is {other:?}"),
            }
        }
        let unknown = Id::new(b"unknown").expect("1 to 64 bytes");
        assert_eq!(ledger.standing(&unknown, 0), Standing::Unknown);
    }
}
