//! `/v1/products`: the catalogue, with what is available now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page::Limit;
use super::{Answer, Call, Kind, Problem};
use crate::app::App;
use crate::catalogue::search::MAX_CHARACTERS;
use crate::catalogue::{Entry, Product, Search, Sku};
use crate::gateway;

/// Which part of the catalogue is asked for.
#[derive(Deserialize, JsonSchema)]
pub struct ProductQuery {
    #[serde(default)]
    limit: Limit,
    /// The list begins behind this SKU.
    after: Option<Sku>,
    /// Words that the name or the description has, or the beginning of a SKU.
    #[schemars(length(max = MAX_CHARACTERS))]
    q: Option<String>,
}

/// A product, and what there is of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Product")]
pub struct Listed {
    #[serde(flatten)]
    product: Product,
    /// Units that can be held now; null where that is not known.
    available: Option<i64>,
}

/// A part of the catalogue.
#[derive(Serialize, JsonSchema)]
pub struct ProductPage {
    /// By SKU.
    products: Vec<Listed>,
    /// The `after` of the next part; null at the end.
    next: Option<Sku>,
}

/// `GET /v1/products?limit&after`
pub async fn list(call: Call) -> Answer {
    let ProductQuery { limit, after, q } = call.asked()?;
    let search = q.as_deref().map(Search::parse).transpose();
    let search = search.map_err(|error| Problem::new(Kind::InvalidValue, format!("q: {error}")))?;
    let limit = limit.get();
    // One more than asked for tells whether there is a next page.
    let catalogue = &call.app.catalogue;
    let mut products = if search.as_ref().is_some_and(Search::is_empty) {
        Vec::new()
    } else {
        let page = catalogue.page(search.as_ref(), after.as_ref(), limit + 1);
        page.await?
    };
    let more = products.len() > limit as usize;
    products.truncate(limit as usize);
    let next = products
        .last()
        .filter(|_| more)
        .map(|product| product.sku.clone());
    let products = with_availability(&call.app, products).await;
    call.show(&ProductPage { products, next }, None)
}

/// `GET /v1/products/{sku}`
pub async fn get(call: Call) -> Answer {
    let sku = call.sku()?;
    let entry = call.app.catalogue.entry(&sku).await?;
    let Some(Entry {
        product, revision, ..
    }) = entry.filter(|entry| !entry.retired)
    else {
        return Err(Problem::new(
            Kind::NotFound,
            format!("there is no product {sku}"),
        ));
    };
    let listed = with_availability(&call.app, vec![product]).await;
    call.show(&listed[0], Some(revision))
}

/// A catalogue can be looked at without Redis; only what is available is then not known.
async fn with_availability(app: &App, products: Vec<Product>) -> Vec<Listed> {
    let skus: Vec<&Sku> = products.iter().map(|product| &product.sku).collect();
    let stocks = app.gateway.stocks(&skus).await.unwrap_or_else(|error| {
        if !matches!(error, gateway::Error::Away) {
            tracing::warn!(%error, "products are shown without availability");
        }
        Vec::new()
    });
    let available = stocks
        .into_iter()
        .map(|stock| stock.map(|stock| stock.available));
    let available = available.chain(std::iter::repeat(None));
    products
        .into_iter()
        .zip(available)
        .map(|(product, available)| Listed { product, available })
        .collect()
}
