//! What a product is, how it is found and changed, and how its stock changes.

pub mod cache;
pub mod change;
mod entry;
pub mod product;
pub mod search;
mod sku;
pub mod stock_change;

pub use entry::Entry;
pub use product::{InvalidProduct, MAX_PRICE_MINOR, Product, amount_minor};
pub use search::{InvalidSearch, Search};
pub use sku::{InvalidSku, Sku};
