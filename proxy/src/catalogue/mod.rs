//! What a product is, and how its stock changes.

mod product;
mod sku;
pub mod stock_change;

pub use product::{InvalidProduct, MAX_PRICE_MINOR, Product, amount_minor};
pub use sku::{InvalidSku, Sku};
