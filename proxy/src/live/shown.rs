//! The stock of a product as everybody may see it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalogue::Sku;
use crate::gateway::inventory::Stock;
use crate::gateway::{self, Gateway};
use crate::store::{self, Store};

/// The stock of one product.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stock")]
pub struct Shown {
    /// What.
    pub sku: Sku,
    /// How much.
    #[serde(flatten)]
    pub stock: Stock,
}

/// Why no stock can be shown.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// The catalogue has no such product.
    #[error("there is no product {0}")]
    Unknown(Sku),
    /// Redis has lost the count, and the reconciler brings it back.
    #[error("the stock of {0} is not known at this moment; try again in a moment")]
    Lost(Sku),
    /// Redis did not say.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// MySQL did not say.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Looks how much there is of a product.
pub async fn look(gateway: &Gateway, store: &Store, sku: &Sku) -> Result<Shown, NotShown> {
    let stock = match gateway.stock(sku).await? {
        Some(stock) => stock,
        None if store.product(sku).await?.is_none() => return Err(NotShown::Unknown(sku.clone())),
        // A product that was never stocked, or is sold out and forgotten.
        None if store.unsold(sku).await? == 0 => Stock::default(),
        None => return Err(NotShown::Lost(sku.clone())),
    };
    Ok(Shown {
        sku: sku.clone(),
        stock,
    })
}
