//! What buyers have of products that are sold with a limit for each.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Each buyer of each SKU, an index into [`super::stock::Stocks`].
pub type Purchases = BTreeMap<(usize, Uuid), Purchase>;

/// What one buyer has of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purchase {
    /// What was counted; `None` when there is no count.
    pub counted: Option<i64>,
    /// The limit under which the last unit was let through.
    pub limit: i64,
    /// Units of the orders that count and were not called off.
    pub ordered: i64,
}
