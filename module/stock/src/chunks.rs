//! An ordered map of packed chunks: what everything in a ledger that can grow large is kept in.
//!
//! A tree of single entries leaves half of its places empty, and a hash table or one vector of everything stops the
//! server when it doubles. Here entries lie in sorted vectors of about 2.5 kB, and only those are in a tree. What
//! arrives in order fills its chunks to the last place; every chunk has the capacity of one of the allocator's size
//! classes, so that nothing is reserved for later. One insertion or removal moves one chunk at most.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::allocator;

/// What lies in a chunk.
pub(crate) trait Entry: Clone {
    type Key: Copy + Ord + std::fmt::Debug;

    /// Its place in the order; no two entries have the same.
    fn key(&self) -> Self::Key;

    /// What is added up per chunk, so that a sum over many entries costs chunks and not entries.
    fn weight(&self) -> u64 {
        0
    }

    /// Moves what it has on the heap to a new place there.
    fn renew(&mut self) {}
}

/// What can be moved to another place on the heap, bit by bit.
pub(crate) trait Renew {
    /// Moves chunks, beginning with the one at `from`, while `go_on` says so, and returns where to continue: `None`
    /// when all were moved.
    fn renew(&mut self, from: usize, go_on: &mut dyn FnMut() -> bool) -> Option<usize>;
}

#[derive(Clone, Debug)]
pub(crate) struct Chunks<E: Entry> {
    /// The first chunk, empty only when all is. It needs no tree: most ledgers are small.
    first: Vec<E>,
    rest: Option<Box<Rest<E>>>,
}

#[derive(Clone, Debug)]
struct Rest<E: Entry> {
    /// Each chunk by a key that is no higher than its first and higher than all that come before. None is empty.
    chunks: BTreeMap<E::Key, Chunk<E>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Chunk<E> {
    entries: Vec<E>,
    weight: u64,
}

impl<E: Entry> Default for Chunks<E> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            rest: None,
        }
    }
}

impl<E: Entry + PartialEq> PartialEq for Chunks<E> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<E: Entry> Chunks<E> {
    /// Entries that fit into a chunk; few for fuzzers, whose short inputs would never fill one.
    pub(crate) const FULL: usize = if cfg!(fuzzing) {
        4
    } else {
        2560 / size_of::<E>()
    };

    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.as_ref().map_or(0, |rest| rest.len)
    }

    pub(crate) fn first(&self) -> Option<&E> {
        self.first.first()
    }

    pub(crate) fn get(&self, key: E::Key) -> Option<&E> {
        let chunk = self.chunk(key);
        chunk.get(position(chunk, key).ok()?)
    }

    /// The entry for changing it; its key and its weight must stay.
    pub(crate) fn get_mut(&mut self, key: E::Key) -> Option<&mut E> {
        let chunk = match self.rest.as_mut().and_then(|rest| rest.find_mut(key)) {
            Some((_, chunk)) => &mut chunk.entries,
            None => &mut self.first,
        };
        let at = position(chunk, key).ok()?;
        chunk.get_mut(at)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        let rest = self.rest.iter().flat_map(|rest| rest.chunks.values());
        self.first
            .iter()
            .chain(rest.flat_map(|chunk| &chunk.entries))
    }

    /// The entries behind the key, which need not be there.
    pub(crate) fn after(&self, key: E::Key) -> impl Iterator<Item = &E> {
        let chunk = self.chunk(key);
        let from = chunk.partition_point(|entry| entry.key() <= key);
        let rest = self.rest.iter().flat_map(move |rest| {
            let behind = (Bound::Excluded(key), Bound::Unbounded);
            rest.chunks.range(behind)
        });
        let rest = rest.flat_map(|(_, chunk)| &chunk.entries);
        chunk.iter().skip(from).chain(rest)
    }

    /// The weight and the number of the entries behind one key, up to the other and with it.
    pub(crate) fn sum(&self, behind: E::Key, to: E::Key) -> (u64, usize) {
        let (mut weight, mut count) = (0, 0);
        let mut add = |(more, entries): (u64, usize)| {
            weight += more;
            count += entries;
        };
        let rest = self.rest.as_ref().filter(|_| behind < to);
        let begins = rest.and_then(|rest| rest.chunks.range(..=behind).next_back());
        if begins.is_none() {
            add(sum(&self.first, behind, to));
        }
        if let Some(rest) = rest {
            let from = begins.map_or(Bound::Unbounded, |(key, _)| Bound::Included(*key));
            let mut chunks = rest.chunks.range((from, Bound::Included(to)));
            // Only the outermost chunks can lie in part beyond the keys.
            let last = chunks.next_back();
            let first = begins.and_then(|_| chunks.next());
            for (_, outer) in last.into_iter().chain(first) {
                add(sum(&outer.entries, behind, to));
            }
            for (_, inner) in chunks {
                add((inner.weight, inner.entries.len()));
            }
        }
        (weight, count)
    }

    /// Puts the entry in its place. Its key must be new.
    pub(crate) fn insert(&mut self, entry: E) {
        let key = entry.key();
        let Some((separator, chunk)) = self.rest.as_mut().and_then(|rest| rest.find_mut(key))
        else {
            if let Some(overflow) = insert(&mut self.first, entry) {
                self.rest_mut().add(overflow);
            }
            return;
        };
        chunk.weight += entry.weight();
        let overflow = insert(&mut chunk.entries, entry);
        if let Some(overflow) = &overflow {
            chunk.weight -= total(overflow);
        }
        let rest = self.rest_mut();
        rest.len += 1;
        if let Some(overflow) = overflow {
            debug_assert!(
                overflow
                    .first()
                    .is_some_and(|first| first.key() > separator)
            );
            rest.len -= overflow.len();
            rest.add(overflow);
        }
    }

    pub(crate) fn remove(&mut self, key: E::Key) -> Option<E> {
        let Some(rest) = self.rest.as_mut() else {
            return remove(&mut self.first, key);
        };
        let Some((separator, chunk)) = rest.find_mut(key) else {
            let removed = remove(&mut self.first, key)?;
            self.mend_first();
            return Some(removed);
        };
        let removed = remove(&mut chunk.entries, key)?;
        chunk.weight -= removed.weight();
        let small = chunk.entries.len() <= Self::FULL / 4;
        rest.len -= 1;
        if small {
            self.mend(separator);
        }
        Some(removed)
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.chunks.len());
        rest + usize::from(!self.first.is_empty())
    }

    /// Its memory in bytes beyond `Self`, without what the entries have on the heap.
    pub(crate) fn memory(&self) -> usize {
        let first = allocator::vector::<E>(self.first.capacity());
        self.rest.as_ref().map_or(first, |rest| {
            let chunks = rest.chunks.values();
            let chunks = chunks.map(|chunk| allocator::vector::<E>(chunk.entries.capacity()));
            let tree = allocator::tree::<E::Key, Chunk<E>>(rest.chunks.len());
            first + allocator::size(size_of::<Rest<E>>()) + tree + chunks.sum::<usize>()
        })
    }

    /// The weight of all entries.
    pub(crate) fn weight(&self) -> u64 {
        let rest = self.rest.iter().flat_map(|rest| rest.chunks.values());
        total(&self.first) + rest.map(|chunk| chunk.weight).sum::<u64>()
    }

    fn rest_mut(&mut self) -> &mut Rest<E> {
        self.rest.get_or_insert_with(|| {
            Box::new(Rest {
                chunks: BTreeMap::new(),
                len: 0,
            })
        })
    }

    /// The chunk in which the key is, if it is anywhere.
    fn chunk(&self, key: E::Key) -> &[E] {
        let rest = self.rest.as_ref();
        let found = rest.and_then(|rest| rest.chunks.range(..=key).next_back());
        found.map_or(&self.first, |(_, chunk)| &chunk.entries)
    }

    /// Joins the first chunk with the next one if they are small enough.
    fn mend_first(&mut self) {
        let Some(rest) = self.rest.as_mut() else {
            return;
        };
        let next = rest.chunks.first_key_value();
        let next = next.map_or(0, |(_, next)| next.entries.len());
        if self.first.is_empty() || may_join::<E>(self.first.len(), next) {
            if let Some((_, next)) = rest.chunks.pop_first() {
                rest.len -= next.entries.len();
                join(&mut self.first, next.entries);
            }
            if rest.chunks.is_empty() {
                self.rest = None;
            }
        }
    }

    /// Joins the small chunk under this key with the one before or behind if they are small enough, and drops it if it
    /// is empty.
    fn mend(&mut self, separator: E::Key) {
        let Some(rest) = self.rest.as_mut() else {
            return;
        };
        let Some(small) = rest.chunks.get(&separator) else {
            return;
        };
        let len = small.entries.len();
        if len == 0 {
            rest.chunks.remove(&separator);
        } else {
            let behind = (
                std::ops::Bound::Excluded(separator),
                std::ops::Bound::Unbounded,
            );
            let next = rest.chunks.range(behind).next();
            let next = next.filter(|(_, next)| may_join::<E>(len, next.entries.len()));
            let before = rest.chunks.range(..separator).next_back();
            let before = before.map(|(key, before)| (*key, before.entries.len()));
            if let Some((&key, _)) = next {
                rest.join(separator, key);
            } else if let Some((key, _)) = before.filter(|(_, before)| may_join::<E>(len, *before))
            {
                rest.join(key, separator);
            } else if before.is_none() {
                self.mend_first();
                return;
            }
        }
        if rest.chunks.is_empty() {
            self.rest = None;
        }
    }
}

impl<E: Entry> Renew for Chunks<E> {
    fn renew(&mut self, from: usize, go_on: &mut dyn FnMut() -> bool) -> Option<usize> {
        let rest = (self.rest.iter_mut()).flat_map(|rest| rest.chunks.values_mut());
        let all = std::iter::once(&mut self.first).chain(rest.map(|chunk| &mut chunk.entries));
        for (at, chunk) in all.enumerate().skip(from) {
            if !go_on() {
                return Some(at);
            }
            let mut renewed = Vec::with_capacity(chunk.capacity());
            renewed.append(chunk);
            renewed.iter_mut().for_each(E::renew);
            *chunk = renewed;
        }
        None
    }
}

impl<E: Entry> Rest<E> {
    /// The chunk in which the key is or would go, with what it is filed under.
    fn find_mut(&mut self, key: E::Key) -> Option<(E::Key, &mut Chunk<E>)> {
        let found = self.chunks.range_mut(..=key).next_back();
        found.map(|(separator, chunk)| (*separator, chunk))
    }

    fn add(&mut self, entries: Vec<E>) {
        if let Some(first) = entries.first() {
            self.len += entries.len();
            let weight = total(&entries);
            self.chunks.insert(first.key(), Chunk { entries, weight });
        }
    }

    /// Puts the entries of the chunk under `second` behind those of the one under `first`.
    fn join(&mut self, first: E::Key, second: E::Key) {
        if let Some(second) = self.chunks.remove(&second)
            && let Some(first) = self.chunks.get_mut(&first)
        {
            first.weight += second.weight;
            join(&mut first.entries, second.entries);
        }
    }
}

/// Whether two chunks are so small that they should be one. Together they must leave room, or the next insertion would
/// split them again.
fn may_join<E: Entry>(one: usize, other: usize) -> bool {
    one + other <= Chunks::<E>::FULL / 2
}

fn join<E>(first: &mut Vec<E>, mut second: Vec<E>) {
    first.reserve_exact(allocator::fitting::<E>(first.len() + second.len()) - first.len());
    first.append(&mut second);
}

fn position<E: Entry>(chunk: &[E], key: E::Key) -> Result<usize, usize> {
    chunk.binary_search_by_key(&key, E::key)
}

fn total<E: Entry>(entries: &[E]) -> u64 {
    entries.iter().map(E::weight).sum()
}

/// The weight and number of the entries of one chunk behind one key, up to the other and with it.
fn sum<E: Entry>(chunk: &[E], behind: E::Key, to: E::Key) -> (u64, usize) {
    let from = chunk.partition_point(|entry| entry.key() <= behind);
    let count = chunk
        .partition_point(|entry| entry.key() <= to)
        .saturating_sub(from);
    let within = chunk.iter().skip(from).take(count);
    (within.map(E::weight).sum(), count)
}

/// Puts the entry into the chunk; what overflows is to become a chunk behind it.
fn insert<E: Entry>(chunk: &mut Vec<E>, entry: E) -> Option<Vec<E>> {
    let at = position(chunk, entry.key()).unwrap_or_else(|at| at);
    if chunk.len() < Chunks::<E>::FULL {
        place(chunk, at, entry);
        return None;
    }
    if at == chunk.len() {
        // What arrives in order leaves full chunks behind.
        let mut next = Vec::new();
        place(&mut next, 0, entry);
        return Some(next);
    }
    let half = chunk.len() / 2;
    let mut upper = Vec::new();
    upper.reserve_exact(allocator::fitting::<E>(chunk.len() - half + 1));
    upper.extend(chunk.drain(half..));
    if at <= half {
        place(chunk, at, entry);
    } else {
        place(&mut upper, at - half, entry);
    }
    chunk.shrink_to(allocator::fitting::<E>(chunk.len()));
    Some(upper)
}

fn place<E>(chunk: &mut Vec<E>, at: usize, entry: E) {
    if chunk.len() == chunk.capacity() {
        chunk.reserve_exact(allocator::fitting::<E>(chunk.len() + 1) - chunk.len());
    }
    chunk.insert(at, entry);
}

fn remove<E: Entry>(chunk: &mut Vec<E>, key: E::Key) -> Option<E> {
    let at = position(chunk, key).ok()?;
    let removed = chunk.remove(at);
    // A quarter may stay unused, so that taking out and putting in by turns does not reallocate each time.
    let enough = allocator::fitting::<E>(chunk.len() + chunk.len() / 4 + 1);
    if chunk.is_empty() {
        *chunk = Vec::new();
    } else if enough < chunk.capacity() {
        chunk.shrink_to(enough);
    }
    Some(removed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// So large that eight fill a chunk, and few make many chunks.
    #[derive(Clone, Debug, PartialEq)]
    struct Large {
        key: u16,
        weight: u64,
        _padding: [u64; 38],
    }

    impl Entry for Large {
        type Key = u16;

        fn key(&self) -> u16 {
            self.key
        }

        fn weight(&self) -> u64 {
            self.weight
        }
    }

    fn large(key: u16, weight: u64) -> Large {
        Large {
            key,
            weight,
            _padding: [0; 38],
        }
    }

    /// Each rule about how a map is made up, which no result would show.
    fn check_shape(map: &Chunks<Large>) {
        let rest = map.rest.iter().flat_map(|rest| &rest.chunks);
        let mut last = map.first.last().map(Entry::key);
        assert!(map.len() == 0 || !map.first.is_empty());
        for (&separator, chunk) in rest {
            assert!(last < Some(separator) && separator <= chunk.entries[0].key());
            assert_eq!(chunk.weight, total(&chunk.entries));
            last = chunk.entries.last().map(Entry::key);
        }
        if let Some(rest) = &map.rest {
            let chunks = rest.chunks.values().map(|chunk| chunk.entries.len());
            assert!(!rest.chunks.is_empty());
            assert_eq!(rest.len, chunks.sum::<usize>());
        }
        assert_eq!(map.iter().count(), map.len());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u64),
        Append(u64),
        Remove(u16),
        RemoveFirst,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..400_u16, 0..9_u64).prop_map(|(key, weight)| Step::Insert(key, weight)),
            2 => (0..9_u64).prop_map(Step::Append),
            4 => (0..400_u16).prop_map(Step::Remove),
            1 => Just(Step::RemoveFirst),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn it_does_what_a_tree_does(
            filled in 0..300_u16,
            steps in proptest::collection::vec(step(), 1..400),
            looked_for in 0..400_u16,
            sum_of in (0..400_u16, 0..400_u16),
        ) {
            assert_eq!(Chunks::<Large>::FULL, 8);
            let mut map = Chunks::default();
            let mut tree = BTreeMap::new();
            let filling = (0..filled).map(|key| Step::Insert(key, 1));
            for step in filling.chain(steps) {
                match step {
                    Step::Insert(key, weight) if !tree.contains_key(&key) => {
                        map.insert(large(key, weight));
                        tree.insert(key, weight);
                    }
                    Step::Insert(key, weight) => {
                        prop_assert_eq!(map.get(key).map(|entry| entry.weight), tree.get(&key).copied());
                        prop_assert_eq!(map.remove(key).map(|entry| entry.key), Some(key));
                        map.insert(large(key, weight));
                        tree.insert(key, weight);
                    }
                    Step::Append(weight) => {
                        let key = tree.last_key_value().map_or(0, |(key, _)| key + 1);
                        map.insert(large(key, weight));
                        tree.insert(key, weight);
                    }
                    Step::Remove(key) => {
                        let removed = map.remove(key).map(|entry| entry.weight);
                        prop_assert_eq!(removed, tree.remove(&key));
                    }
                    Step::RemoveFirst => {
                        if let Some((key, _)) = tree.pop_first() {
                            prop_assert_eq!(map.first().map(|entry| entry.key), Some(key));
                            map.remove(key);
                        }
                    }
                }
                check_shape(&map);
                prop_assert_eq!(map.len(), tree.len());
            }
            prop_assert!(map.iter().map(|entry| (entry.key, entry.weight)).eq(tree.clone()));
            prop_assert_eq!(map.get(looked_for).map(|entry| entry.weight), tree.get(&looked_for).copied());
            prop_assert_eq!(map.get_mut(looked_for).is_some(), tree.contains_key(&looked_for));
            let after = map.after(looked_for).map(|entry| entry.key);
            let behind = (Bound::Excluded(looked_for), Bound::Unbounded);
            prop_assert!(after.eq(tree.range(behind).map(|(key, _)| *key)));
            let (behind, to) = sum_of;
            let within = tree.iter().filter(|(key, _)| behind < **key && **key <= to);
            let summed = (within.clone().map(|(_, weight)| weight).sum(), within.count());
            prop_assert_eq!(map.sum(behind, to), summed);
            prop_assert_eq!(map.weight(), tree.values().sum::<u64>());
            let before = map.clone();
            prop_assert_eq!(map.renew(0, &mut || true), None);
            prop_assert!(map == before);
        }
    }

    #[test]
    fn what_arrives_in_order_leaves_no_place_unused() {
        let mut map = Chunks::default();
        for key in 0..80 {
            map.insert(large(key, 1));
        }
        assert_eq!(map.chunks(), 10);
    }

    #[test]
    fn what_is_thinned_out_gives_its_memory_back() {
        for order in [1, -1] {
            let mut map = Chunks::default();
            for key in 0..800 {
                map.insert(large(key, 1));
            }
            let full = map.memory();
            for key in 0..800_i32 {
                let key = if order > 0 { key } else { 799 - key };
                if key % 10 > 0 {
                    map.remove(key as u16);
                }
            }
            check_shape(&map);
            assert_eq!(map.len(), 80);
            assert!(map.memory() < full / 3, "{} of {full}", map.memory());
        }
    }

    #[test]
    fn moving_goes_on_where_it_stopped() {
        let mut map = Chunks::default();
        for key in 0..80 {
            map.insert(large(key, 1));
        }
        let (mut moved, mut from) = (0, Some(0));
        while let Some(at) = from {
            let mut left = 3;
            from = map.renew(at, &mut || {
                left -= 1;
                moved += i32::from(left >= 0);
                left >= 0
            });
        }
        assert_eq!((moved, map.len()), (10, 80));
        check_shape(&map);
    }
}
