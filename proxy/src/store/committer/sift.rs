//! Which requests of a batch have to be written, and what the others are told. Pure.

use std::collections::HashMap;

use uuid::Uuid;

use super::record::Recorded;

/// What makes an order that is to be recorded known again.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'a> {
    /// The order's id.
    pub order: Uuid,
    /// The saga that records it.
    pub saga: Uuid,
    /// Whose idempotency key, and which.
    pub key: Option<(Uuid, &'a str)>,
}

/// What the tables have of a batch already.
#[derive(Debug, Default)]
pub struct Known {
    /// Orders, and the sagas that recorded them.
    orders: HashMap<Uuid, Option<Uuid>>,
    /// Idempotency keys.
    keys: HashMap<Uuid, Vec<String>>,
}

impl Known {
    /// Adds an order.
    pub fn add_order(&mut self, order: Uuid, saga: Option<Uuid>) {
        self.orders.insert(order, saga);
    }

    /// Adds an idempotency key.
    pub fn add_key(&mut self, scope: Uuid, key: &str) {
        // To the table's collation, spaces at the end make no difference.
        let key = key.trim_end_matches(' ').to_owned();
        self.keys.entry(scope).or_default().push(key);
    }

    fn has_key(&self, scope: Uuid, key: &str) -> bool {
        let key = key.trim_end_matches(' ');
        self.keys
            .get(&scope)
            .is_some_and(|keys| keys.iter().any(|known| known == key))
    }
}

/// One verdict a newcomer, `None` for what is to be written. What came first in the batch counts as
/// known to what came later. An order is looked for before its key: an order of the same saga is
/// this very request, written by an attempt whose answer was lost.
pub fn newcomers(batch: &[Newcomer<'_>], mut known: Known) -> Vec<Option<Recorded>> {
    let mut sift = |new: &Newcomer<'_>| {
        if let Some(saga) = known.orders.get(&new.order) {
            return Some(if *saga == Some(new.saga) {
                Recorded::Recorded
            } else {
                Recorded::OrderExists
            });
        }
        if let Some((scope, key)) = new.key {
            if known.has_key(scope, key) {
                return Some(Recorded::KeyTaken);
            }
            known.add_key(scope, key);
        }
        known.add_order(new.order, Some(new.saga));
        None
    };
    batch.iter().map(&mut sift).collect()
}

/// For each id, where it first stands in the batch.
pub fn firsts(ids: impl Iterator<Item = Uuid>) -> Vec<usize> {
    let mut seen = HashMap::new();
    ids.enumerate()
        .map(|(at, id)| *seen.entry(id).or_insert(at))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn new(order: u128, saga: u128, key: Option<&str>) -> Newcomer<'_> {
        Newcomer {
            order: id(order),
            saga: id(saga),
            key: key.map(|key| (id(99), key)),
        }
    }

    #[test]
    fn of_one_key_and_of_one_id_the_first_in_the_batch_wins() {
        let batch = [
            new(1, 11, Some("k")),
            new(2, 12, Some("k")),
            new(1, 13, None),
            new(3, 14, Some("other")),
        ];
        assert_eq!(
            newcomers(&batch, Known::default()),
            [
                None,
                Some(Recorded::KeyTaken),
                Some(Recorded::OrderExists),
                None
            ]
        );
    }

    #[test]
    fn an_order_whose_key_is_taken_takes_nothing_itself() {
        let mut known = Known::default();
        known.add_key(id(99), "old");
        let batch = [new(1, 11, Some("old")), new(1, 12, None)];
        assert_eq!(newcomers(&batch, known), [Some(Recorded::KeyTaken), None]);
    }

    #[test]
    fn a_repetition_knows_its_own_and_nobody_elses() {
        let mut known = Known::default();
        known.add_order(id(1), Some(id(11)));
        known.add_order(id(2), Some(id(11)));
        known.add_order(id(3), None);
        known.add_key(id(99), "k");
        let batch = [
            new(1, 11, Some("k")),
            new(2, 12, Some("k")),
            new(3, 13, None),
        ];
        assert_eq!(
            newcomers(&batch, known),
            [
                Some(Recorded::Recorded),
                Some(Recorded::OrderExists),
                Some(Recorded::OrderExists)
            ]
        );
    }

    #[test]
    fn keys_are_compared_as_the_table_compares_them() {
        let batch = [
            new(1, 11, Some("k")),
            new(2, 12, Some("k ")),
            new(3, 13, Some("K")),
        ];
        let verdicts = newcomers(&batch, Known::default());
        assert_eq!(verdicts, [None, Some(Recorded::KeyTaken), None]);
        let elsewhere = Newcomer {
            key: Some((id(98), "k")),
            ..batch[1]
        };
        assert_eq!(
            newcomers(&[batch[0], elsewhere], Known::default()),
            [None, None]
        );
    }

    #[test]
    fn twins_are_found() {
        let ids = [id(5), id(6), id(5), id(5)];
        assert_eq!(firsts(ids.into_iter()), [0, 1, 0, 0]);
    }
}
