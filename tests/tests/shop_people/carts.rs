//! What shoppers mean to buy.

use anyhow::Context;
use futures::future::try_join_all;

use super::*;

#[tokio::test]
async fn a_cart_is_priced_as_it_stands() -> Result<()> {
    let guest = shop().guest().await?;
    let empty = guest.get("/v1/cart").await?;
    assert_eq!(
        empty.body,
        json!({ "lines": [], "total_minor": 0, "currency": null })
    );
    add(&guest, "cart-1", 2).await?;
    add(&guest, "CART-2", 1).await?;
    let cart = add(&guest, "CART-1", 1).await?;
    assert_eq!(cart.body["total_minor"], 3 * 1000 + 2000);
    assert_eq!(
        cart.body["lines"][0],
        json!({ "sku": "CART-1", "quantity": 3, "available": 10, "name": "Thing 1", "price_minor": 1000,
                "amount_minor": 3000, "gone": false })
    );
    let set = guest
        .call(
            Method::PUT,
            "/v1/cart/items/CART-1",
            &json!({ "quantity": 7 }),
        )
        .await?;
    assert_eq!(set.body["total_minor"], 7 * 1000 + 2000);
    let removed = send(guest.request(Method::DELETE, "/v1/cart/items/CART-1")).await?;
    assert_eq!(removed.body["total_minor"], 2000);
    assert_eq!(
        send(guest.request(Method::DELETE, "/v1/cart"))
            .await?
            .status,
        204
    );
    assert_eq!(guest.get("/v1/cart").await?.body["lines"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_in_a_cart_is_refused_and_changes_nothing() -> Result<()> {
    let guest = shop().guest().await?;
    add(&guest, "BAD-1", 1).await?;
    for quantity in [
        json!(0),
        json!(-1),
        json!(1_000_001),
        json!(9_223_372_036_854_775_808_u64),
        json!("1"),
        json!(1.5),
        json!(null),
    ] {
        let body = json!({ "sku": "BAD-1", "quantity": quantity });
        let refused = guest.call(Method::POST, "/v1/cart/items", &body).await?;
        assert_eq!(refused.status, 400, "{quantity}: {refused:?}");
        let refused = guest
            .call(
                Method::PUT,
                "/v1/cart/items/BAD-1",
                &json!({ "quantity": quantity }),
            )
            .await?;
        assert_eq!(refused.status, 400, "{quantity}: {refused:?}");
    }
    assert_eq!(add(&guest, "NOT-IN-THE-CATALOGUE", 1).await?.status, 404);
    let cart = guest.get("/v1/cart").await?;
    assert_eq!(
        (
            cart.body["lines"].as_array().map(Vec::len),
            &cart.body["total_minor"]
        ),
        (Some(1), &json!(1000))
    );
    // The most that a line can have, however often it is added to.
    add(&guest, "BAD-1", 999_999).await?;
    let full = add(&guest, "BAD-1", 1_000_000).await?;
    assert_eq!(full.body["lines"][0]["quantity"], 1_000_000);
    Ok(())
}

#[tokio::test]
async fn tabs_that_add_at_once_lose_nothing() -> Result<()> {
    let guest = shop().guest().await?;
    let adding = (0..40).map(|n| {
        add(
            &guest,
            if n % 2 == 0 { "TABS-1" } else { "TABS-2" },
            1 + n / 20,
        )
    });
    for added in try_join_all(adding).await? {
        assert_eq!(added.status, 200, "{added:?}");
    }
    let cart = guest.get("/v1/cart").await?;
    let quantities: Vec<_> = cart.body["lines"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| &line["quantity"])
        .collect();
    assert_eq!(quantities, [&json!(30), &json!(30)]);
    Ok(())
}

#[tokio::test]
async fn at_login_the_guests_cart_joins_the_users_and_the_guest_is_gone() -> Result<()> {
    let person = json!({ "email": "grace@example.com", "password": "correct horse" });
    assert_eq!(post("/v1/users", &person).await?.status(), 201);
    let before: Value = post("/v1/sessions", &person).await?.json().await?;
    post_with(
        token(&before),
        "/v1/cart/items",
        &json!({ "sku": "MERGE-1", "quantity": 2 }),
    )
    .await?;
    post_with(
        token(&before),
        "/v1/cart/items",
        &json!({ "sku": "MERGE-2", "quantity": 999_999 }),
    )
    .await?;

    let guest = shop().guest().await?;
    for (sku, quantity) in [("MERGE-1", 3), ("MERGE-2", 5), ("MERGE-3", 1)] {
        add(&guest, sku, quantity).await?;
    }
    let logged_in = guest.call(Method::POST, "/v1/sessions", &person).await?;
    assert_eq!(logged_in.status, 201, "{logged_in:?}");
    assert_ne!(token(&logged_in.body), token(guest.session()));
    let cart = get_with(token(&logged_in.body), "/v1/cart").await?;
    let quantities: Vec<_> = cart.body["lines"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| &line["quantity"])
        .collect();
    assert_eq!(
        quantities,
        [&json!(5), &json!(1_000_000), &json!(1)],
        "added, and capped"
    );
    assert_eq!(
        guest.get("/v1/cart").await?.status,
        401,
        "the guest's session has ended"
    );
    Ok(())
}

#[tokio::test]
async fn a_bought_cart_is_empty() -> Result<()> {
    let guest = shop().guest().await?;
    add(&guest, "BUY-1", 2).await?;
    add(&guest, "BUY-2", 1).await?;
    let body = json!({ "cart": true, "payment": { "card": "4242424242424242" } });
    let order = guest.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!(
        (order.status, &order.body["total_minor"]),
        (201, &json!(4000)),
        "{order:?}"
    );
    assert_eq!(guest.get("/v1/cart").await?.body["lines"], json!([]));
    let nothing = guest.call(Method::POST, "/v1/orders", &body).await?;
    assert_eq!(
        (nothing.status, &nothing.body["type"]),
        (409, &json!("/problems/empty-cart"))
    );
    Ok(())
}
