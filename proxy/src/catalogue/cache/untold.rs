//! Changes that Redis could not be told of yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::catalogue::Sku;

/// Products that have changed, and which Redis may still have as they were. Those of a process that
/// ends are forgotten: then what Redis has ends by its time to live.
#[derive(Debug, Default)]
pub(super) struct Untold {
    skus: Mutex<BTreeSet<Sku>>,
}

impl Untold {
    /// Adds one, and answers whether it is the only one.
    pub fn add(&self, sku: &Sku) -> bool {
        let mut skus = self.skus.lock().unwrap_or_else(PoisonError::into_inner);
        skus.insert(sku.clone()) && skus.len() == 1
    }

    /// Takes at most so many of them out, to try again.
    pub fn take(&self, at_most: usize) -> Vec<Sku> {
        let mut skus = self.skus.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| skus.pop_first())
            .take(at_most)
            .collect()
    }
}
