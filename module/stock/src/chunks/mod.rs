//! An ordered map of packed chunks: what everything in a ledger that can grow large is kept in.
//!
//! A tree of single entries leaves half of its places empty, and a hash table or one vector of everything stops the
//! server when it doubles. Here entries lie in sorted vectors of about 2.5 kB, and only those are in a tree. What
//! arrives in order fills its chunks to the last place; every chunk has the capacity of one of the allocator's size
//! classes, so that nothing is reserved for later. One insertion or removal moves one chunk at most.

mod chunk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::allocator;
use chunk::{insert, join, may_join, position, remove, sum, total};

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
