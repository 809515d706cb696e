//! The rules of cookies, as a browser sees them.

use reqwest::header::{CACHE_CONTROL, WWW_AUTHENTICATE};

use super::*;

#[tokio::test]
async fn an_id_that_was_not_given_out_is_never_adopted() -> Result<()> {
    let planted = format!(
        "holdfast_session={}.{}",
        uuid::Uuid::new_v4(),
        "0".repeat(64)
    );
    let refused = with_cookie(&planted, Method::GET, "/v1/sessions/current").await?;
    assert_eq!(refused.status, 401);
    assert!(refused.headers.contains_key(WWW_AUTHENTICATE));
    let started = send(request(Method::POST, "/v1/sessions").header(COOKIE, &planted)).await?;
    assert_eq!(started.status, 201);
    assert_ne!(cookie_of(&started)?, planted);
    assert_eq!(
        with_cookie(&planted, Method::GET, "/v1/sessions/current")
            .await?
            .status,
        401
    );
    Ok(())
}

#[tokio::test]
async fn nobody_keeps_what_a_session_was_answered() -> Result<()> {
    let started = send(request(Method::POST, "/v1/sessions")).await?;
    assert_eq!(started.headers[CACHE_CONTROL], "no-store");
    let cookie = cookie_of(&started)?;
    for path in [
        "/v1/sessions/current",
        "/v1/cart",
        "/v1/orders",
        "/v1/users/me",
        "/v1/nowhere",
    ] {
        let reply = with_cookie(&cookie, Method::GET, path).await?;
        assert_eq!(reply.headers[CACHE_CONTROL], "no-store", "{path}");
    }
    let ended = with_cookie(&cookie, Method::DELETE, "/v1/sessions/current").await?;
    assert_eq!(ended.status, 204);
    assert_eq!(ended.headers["clear-site-data"], "\"cookies\", \"storage\"");
    assert_eq!(ended.headers[CACHE_CONTROL], "no-store");
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_site_cannot_act_for_a_shopper() -> Result<()> {
    let cookie = cookie_of(&send(request(Method::POST, "/v1/sessions")).await?)?;
    let add = |site: &str| {
        let request = request(Method::POST, "/v1/cart/items").header(COOKIE, &cookie);
        let request = request.header("Sec-Fetch-Site", site.to_owned());
        send(request.json(&json!({ "sku": "TEA-CADDY", "quantity": 1 })))
    };
    let refused = add("cross-site").await?;
    assert_eq!((refused.status, refused.problem()), (403, "forbidden"));
    assert_eq!(add("same-origin").await?.status, 200, "the control");
    Ok(())
}
