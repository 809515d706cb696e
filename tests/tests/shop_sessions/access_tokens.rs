//! API clients show a token in place of the session.

use redis::Commands;

use super::*;

async fn with_bearer(token: &str, method: Method, path: &str) -> Result<Reply> {
    send(request(method, path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_token_stands_for_its_session_where_only_the_owner_counts() -> Result<()> {
    let guest = shop().guest().await?;
    let item = json!({ "sku": "TEA-CADDY", "quantity": 3 });
    guest.call(Method::POST, "/v1/cart/items", &item).await?;
    let issued = guest
        .call(Method::POST, "/v1/sessions/current/tokens", &json!({}))
        .await?;
    assert_eq!(
        (
            issued.status,
            &issued.body["token_type"],
            &issued.body["expires_in"]
        ),
        (201, &json!("Bearer"), &json!(300))
    );
    let token = issued.body["access_token"].as_str().context("a token")?;
    // It needs no session, and no Redis to know who asks.
    let _: i64 = redis()?.del(session_key(guest.session_id()))?;
    let cart = with_bearer(token, Method::GET, "/v1/cart").await?;
    assert_eq!(cart.body["lines"][0]["quantity"], 3, "{cart:?}");
    let order = json!({ "cart": true, "payment": { "card": "4242424242424242" } });
    let order = request(Method::POST, "/v1/orders")
        .json(&order)
        .bearer_auth(token);
    let order = send(order.header("Idempotency-Key", "\"by token\"")).await?;
    assert_eq!(order.status, 201, "{order:?}");
    let own = with_bearer(token, Method::GET, &format!("/v1/orders/{}", order.id()?)).await?;
    assert_eq!(own.status, 200);

    for path in ["/v1/sessions/current", "/v1/sessions/current/viewed"] {
        let refused = with_bearer(token, Method::GET, path).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (401, "no-session"),
            "{path}"
        );
    }
    let again = with_bearer(token, Method::POST, "/v1/sessions/current/tokens").await?;
    assert_eq!(again.status, 401, "a token does not beget tokens");
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_refused() -> Result<()> {
    let guest = shop().guest().await?;
    let issued = guest
        .call(Method::POST, "/v1/sessions/current/tokens", &json!({}))
        .await?;
    let token = issued.body["access_token"].as_str().context("a token")?;
    let mut parts = token.split('.');
    let (head, claims) = (
        parts.next().context("a head")?,
        parts.next().context("claims")?,
    );
    let another = shop()
        .guest()
        .await?
        .call(Method::POST, "/v1/sessions/current/tokens", &json!({}))
        .await?;
    let signature = another.body["access_token"]
        .as_str()
        .and_then(|token| token.rsplit('.').next())
        .context("a signature")?;
    for forged in [
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{signature}"),
        "a.b.c".into(),
    ] {
        let refused = with_bearer(&forged, Method::GET, "/v1/cart").await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (401, "no-session"),
            "{forged}"
        );
    }
    assert_eq!(
        with_bearer(token, Method::GET, "/v1/cart").await?.status,
        200,
        "the control"
    );
    Ok(())
}
