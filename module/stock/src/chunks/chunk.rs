//! One chunk: a sorted vector that has the capacity of one of the allocator's size classes.

use super::{Chunks, Entry};
use crate::allocator;

/// Whether two chunks are so small that they should be one. Together they must leave room, or the next insertion would
/// split them again.
pub(super) fn may_join<E: Entry>(one: usize, other: usize) -> bool {
    one + other <= Chunks::<E>::FULL / 2
}

pub(super) fn join<E>(first: &mut Vec<E>, mut second: Vec<E>) {
    first.reserve_exact(allocator::fitting::<E>(first.len() + second.len()) - first.len());
    first.append(&mut second);
}

pub(super) fn position<E: Entry>(chunk: &[E], key: E::Key) -> Result<usize, usize> {
    chunk.binary_search_by_key(&key, E::key)
}

pub(super) fn total<E: Entry>(entries: &[E]) -> u64 {
    entries.iter().map(E::weight).sum()
}

/// The weight and number of the entries of one chunk behind one key, up to the other and with it.
pub(super) fn sum<E: Entry>(chunk: &[E], behind: E::Key, to: E::Key) -> (u64, usize) {
    let from = chunk.partition_point(|entry| entry.key() <= behind);
    let count = chunk
        .partition_point(|entry| entry.key() <= to)
        .saturating_sub(from);
    let within = chunk.iter().skip(from).take(count);
    (within.map(E::weight).sum(), count)
}

/// Puts the entry into the chunk; what overflows is to become a chunk behind it.
pub(super) fn insert<E: Entry>(chunk: &mut Vec<E>, entry: E) -> Option<Vec<E>> {
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

pub(super) fn place<E>(chunk: &mut Vec<E>, at: usize, entry: E) {
    if chunk.len() == chunk.capacity() {
        chunk.reserve_exact(allocator::fitting::<E>(chunk.len() + 1) - chunk.len());
    }
    chunk.insert(at, entry);
}

pub(super) fn remove<E: Entry>(chunk: &mut Vec<E>, key: E::Key) -> Option<E> {
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
