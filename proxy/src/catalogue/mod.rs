//! What a product is.

mod sku;

pub use sku::Sku;
