//! What there is to look at.

use anyhow::Context;

use super::*;

#[tokio::test]
async fn the_catalogue_is_read_page_by_page() -> Result<()> {
    let guest = shop().guest().await?;
    let (mut skus, mut path) = (Vec::new(), "/v1/products?limit=7".to_owned());
    loop {
        let page = guest.get(&path).await?;
        let products = page.body["products"]
            .as_array()
            .context("products")?
            .clone();
        assert!(products.len() <= 7);
        skus.extend(
            products
                .iter()
                .filter_map(|product| product["sku"].as_str().map(str::to_owned)),
        );
        match page.body["next"].as_str() {
            Some(next) => path = format!("/v1/products?limit=7&after={next}"),
            None => break,
        }
    }
    assert_eq!(skus.len(), 30);
    assert!(skus.is_sorted());
    let one = guest.get("/v1/products/view-3").await?;
    assert_eq!(
        one.body,
        json!({ "sku": "VIEW-3", "name": "Thing 3", "description": "", "price_minor": 3000, "currency": "GBP", "available": 10 })
    );
    for (path, status) in [
        ("/v1/products?limit=0", 400),
        ("/v1/products?limit=101", 400),
        ("/v1/products?after=%00", 400),
        ("/v1/products/NONE", 404),
        ("/v1/products/%00", 404),
    ] {
        assert_eq!(guest.get(path).await?.status, status, "{path}");
    }
    Ok(())
}
