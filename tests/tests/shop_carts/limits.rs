//! How much fits into a cart.

use super::*;

const MOST_LINES: usize = 1_000;

#[tokio::test]
async fn a_full_cart_takes_no_further_product_and_changes_those_that_it_has() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    let mut fill = redis::cmd("HSET");
    fill.arg(key(&shopper)?);
    for number in 1..MOST_LINES {
        fill.arg(format!("FILLER-{number}")).arg(1);
    }
    let filled: usize = fill.query(&mut redis(&stack)?)?;
    assert_eq!(filled, MOST_LINES - 1);
    for (method, path, item) in [
        (
            Method::POST,
            "/v1/cart/items",
            json!({ "sku": "VASE", "quantity": 1 }),
        ),
        (Method::PUT, "/v1/cart/items/VASE", json!({ "quantity": 1 })),
    ] {
        let refused = shopper.call(method, path, &item).await?;
        assert_eq!((refused.status, refused.problem()), (400, "invalid-value"));
    }
    add(&shopper, "LAMP", 1).await?;
    let full = cart(&shopper).await?;
    assert_eq!((full.len(), full["LAMP"]), (MOST_LINES, 2));

    // Room for one: the next fits, and no second one.
    let last = format!("/v1/cart/items/FILLER-{}", MOST_LINES - 1);
    let removed = shopper.call(Method::DELETE, &last, &json!({})).await?;
    assert_eq!(removed.status, 200, "{removed:?}");
    add(&shopper, "VASE", 1).await?;
    let item = json!({ "sku": "BOWL", "quantity": 1 });
    let refused = shopper.call(Method::POST, "/v1/cart/items", &item).await?;
    assert_eq!(refused.status, 400, "{refused:?}");
    Ok(())
}
