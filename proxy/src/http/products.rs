//! `/v1/products`: the catalogue, with what is available now.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::page::page_limit;
use super::{Answer, Call, Kind, Problem, json};
use crate::app::App;
use crate::catalogue::{Product, Sku};

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    product: Product,
    /// Units that can be held now; null where that is not known.
    available: Option<i64>,
}

/// `GET /v1/products?limit&after`
pub async fn list(call: Call) -> Answer {
    let limit = page_limit(&call)?;
    let after = after(call.query("after").as_deref())?;
    // One more than asked for tells whether there is a next page.
    let mut products = call
        .app
        .store
        .product_page(after.as_ref(), limit + 1)
        .await?;
    let more = products.len() > limit as usize;
    products.truncate(limit as usize);
    let next = products
        .last()
        .filter(|_| more)
        .map(|product| product.sku.clone());
    let products = with_availability(&call.app, products).await;
    json(
        StatusCode::OK,
        &json!({ "products": products, "next": next }),
    )
}

/// `GET /v1/products/{sku}`
pub async fn get(call: Call) -> Answer {
    let sku = call.sku()?;
    let Some(product) = call.app.store.product(&sku).await? else {
        return Err(Problem::new(
            Kind::NotFound,
            format!("there is no product {sku}"),
        ));
    };
    let listed = with_availability(&call.app, vec![product]).await;
    json(StatusCode::OK, &listed[0])
}

/// A catalogue can be looked at without Redis; only what is available is then not known.
async fn with_availability(app: &App, products: Vec<Product>) -> Vec<Listed> {
    let skus: Vec<&Sku> = products.iter().map(|product| &product.sku).collect();
    let stocks = app.gateway.stocks(&skus).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "products are shown without availability");
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

fn after(text: Option<&str>) -> Result<Option<Sku>, Problem> {
    let sku = text.map(str::parse).transpose();
    sku.map_err(|error| Problem::new(Kind::InvalidValue, format!("after: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_a_sku() {
        assert_eq!(
            after(Some("a1"))
                .ok()
                .flatten()
                .map(String::from)
                .as_deref(),
            Some("A1")
        );
        assert_eq!(
            after(Some("a b")).expect_err("no sku").kind(),
            Kind::InvalidValue
        );
    }
}
