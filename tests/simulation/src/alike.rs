//! Hashes by which a model checker sees that two states are one.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Hashes what is the same in any order.
pub fn hash_in_any_order<T: Hash, H: Hasher>(items: &[T], state: &mut H) {
    let sum = items.iter().fold(0u64, |sum, item| {
        let mut hasher = DefaultHasher::new();
        item.hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    });
    (items.len(), sum).hash(state);
}
