//! What the catalogue keeps under a SKU.

use serde::{Deserialize, Serialize};

use super::Product;

/// A product, which state of it this is, and whether it is still sold.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, sqlx::FromRow,
)]
pub struct Entry {
    /// What it is.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub product: Product,
    /// Counts the changes: of two readings of one product the higher is the newer. From 1 on.
    pub revision: i64,
    /// True when it is neither listed nor sold any more.
    pub retired: bool,
}

impl Entry {
    /// The product, unless it is retired.
    pub fn sold(self) -> Option<Product> {
        (!self.retired).then_some(self.product)
    }
}
