//! The map beside a `BTreeMap`, and how it is made up.

use proptest::prelude::*;

use std::collections::BTreeMap;
use std::ops::Bound;

use super::chunk::total;
use super::{Chunks, Entry, Renew};

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
