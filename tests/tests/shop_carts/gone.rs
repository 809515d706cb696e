//! What a cart says of its products: prices and availability of the moment, and what is gone.

use holdfast_tests::shop::GOOD_CARD;

use super::*;

#[tokio::test]
async fn a_product_that_is_retired_stays_in_the_cart_as_gone_and_is_not_sold() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    add(&shopper, "FAD", 2).await?;
    let retired = shop(&stack)
        .call(Method::DELETE, "/v1/products/FAD", &json!({}))
        .await?;
    assert_eq!(retired.status, 204, "{retired:?}");
    let shown = shopper.get("/v1/cart").await?;
    let fad = json!({ "sku": "FAD", "quantity": 2, "available": 10, "gone": true });
    assert_eq!(shown.body["lines"][0], fad);
    assert_eq!(shown.body["total_minor"], 1000, "only the lamp counts");
    let item = json!({ "sku": "FAD", "quantity": 1 });
    let more = shopper.call(Method::POST, "/v1/cart/items", &item).await?;
    assert_eq!((more.status, more.problem()), (404, "not-found"));
    let body = json!({ "cart": true, "payment": { "card": GOOD_CARD } });
    let order = shopper.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!((order.status, &order.body["skus"]), (404, &json!(["FAD"])));

    let removed = shopper
        .call(Method::DELETE, "/v1/cart/items/FAD", &json!({}))
        .await?;
    assert_eq!(removed.status, 200, "{removed:?}");
    let order = shopper.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!(order.status, 201, "{order:?}");
    Ok(())
}

#[tokio::test]
async fn a_cart_shows_the_prices_and_the_stock_of_the_moment() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "PRICED", 3).await?;
    shop(&stack).set_stock("PRICED", 2).await?;
    let dearer = json!({ "price_minor": 1250 });
    let amended = shop(&stack)
        .call(Method::PATCH, "/v1/products/PRICED", &dearer)
        .await?;
    assert_eq!(amended.status, 200, "{amended:?}");
    let shown = shopper.get("/v1/cart").await?;
    let line = &shown.body["lines"][0];
    assert_eq!(
        (&line["available"], &line["price_minor"]),
        (&json!(2), &json!(1250))
    );
    assert_eq!(shown.body["total_minor"], 3750);
    Ok(())
}
