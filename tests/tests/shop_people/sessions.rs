//! Guests and users come, look around and go.

use anyhow::Context;
use reqwest::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};

use super::*;

#[tokio::test]
async fn views_are_counted_and_what_was_viewed_is_remembered() -> Result<()> {
    let guest = shop().guest().await?;
    let mut views = Vec::new();
    for item in ["view-1", "VIEW-2", "VIEW-1"] {
        let body = json!({ "page": "/things", "item": item });
        let touched = guest
            .call(Method::POST, "/v1/sessions/current/touch", &body)
            .await?;
        assert_eq!(touched.status, 200, "{touched:?}");
        views.push(touched.body["page_views"].as_i64().context("a count")?);
    }
    assert_eq!([views[1] - views[0], views[2] - views[1]], [1, 1]);
    let viewed = guest.get("/v1/sessions/current/viewed").await?;
    assert_eq!(viewed.body, json!({ "items": ["VIEW-1", "VIEW-2"] }));
    let current = guest.get("/v1/sessions/current").await?;
    assert_eq!(current.body["roles"], json!(["guest"]));
    assert_eq!(current.body["owner"], guest.session()["owner"]);
    // A request that names no page and no item keeps the session alive and is no view.
    assert_eq!(current.body["page_views"].as_i64(), views.last().copied());

    for body in [
        json!({ "page": "x".repeat(513) }),
        json!({ "item": "no sku" }),
        json!({ "page": "a\u{0}b" }),
    ] {
        let refused = guest
            .call(Method::POST, "/v1/sessions/current/touch", &body)
            .await?;
        assert_eq!(refused.status, 400, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_a_cookie_until_it_is_ended() -> Result<()> {
    let started = Client::new()
        .post(format!("{}/v1/sessions", STACK.proxy.url()))
        .send()
        .await?;
    assert_eq!(started.status(), 201);
    assert_eq!(started.headers()[CACHE_CONTROL], "no-store");
    let set_cookie = started.headers()[SET_COOKIE].to_str()?.to_owned();
    assert!(
        set_cookie.contains("; HttpOnly; SameSite=Lax"),
        "{set_cookie}"
    );
    let cookie = set_cookie.split(';').next().unwrap_or_default();

    let with_cookie = |method| {
        let request =
            Client::new().request(method, format!("{}/v1/sessions/current", STACK.proxy.url()));
        request.header(COOKIE, format!("theme=dark; {cookie}"))
    };
    assert_eq!(send(with_cookie(Method::GET)).await?.status, 200);
    let ended = with_cookie(Method::DELETE).send().await?;
    assert_eq!(ended.status(), 204);
    assert!(ended.headers()[SET_COOKIE].to_str()?.contains("Max-Age=0"));
    let gone = send(with_cookie(Method::GET)).await?;
    assert_eq!(
        (gone.status, &gone.body["type"]),
        (401, &json!("/problems/no-session"))
    );
    Ok(())
}

#[tokio::test]
async fn a_secret_cannot_be_guessed_into_a_session() -> Result<()> {
    let guest = shop().guest().await?;
    for token in [
        format!("{}.0000", guest.session_id()),
        "nonsense".into(),
        format!("{}.", guest.session_id()),
    ] {
        assert_eq!(
            get_with(&token, "/v1/sessions/current").await?.status,
            401,
            "{token}"
        );
    }
    assert_eq!(guest.get("/v1/sessions/current").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn whoever_registers_can_log_in_and_nobody_else() -> Result<()> {
    let person = json!({ "email": "Ada@Example.com", "password": "correct horse" });
    let registered = post("/v1/users", &person).await?;
    assert_eq!(registered.status(), 201);
    let registered: Value = registered.json().await?;
    assert_eq!(registered["email"], "ada@example.com");
    let again = post(
        "/v1/users",
        &json!({ "email": "ada@EXAMPLE.com", "password": "another horse" }),
    )
    .await?;
    assert_eq!(again.status(), 409);

    let mut refusals = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong horse"),
        ("eve@example.com", "correct horse"),
        ("?", "x"),
    ] {
        let refused = post(
            "/v1/sessions",
            &json!({ "email": email, "password": password }),
        )
        .await?;
        assert_eq!(refused.status(), 401);
        refusals.push(refused.json::<Value>().await?);
    }
    assert!(
        refusals.iter().all(|refusal| *refusal == refusals[0]),
        "all are told the same"
    );

    let session: Value = post("/v1/sessions", &person).await?.json().await?;
    assert_eq!(session["owner"], registered["user_id"]);
    assert_eq!(session["roles"], json!(["customer"]));
    let current = get_with(token(&session), "/v1/sessions/current").await?;
    assert_eq!(
        (current.status, &current.body["roles"]),
        (200, &json!(["customer"]))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_registration_is_refused() -> Result<()> {
    for body in [
        json!({ "email": "bob@example.com" }),
        json!({ "email": "bob@example.com", "password": "1234567" }),
        json!({ "email": "bob@example.com", "password": "x".repeat(129) }),
        json!({ "email": "bob", "password": "correct horse" }),
        json!({ "email": "bob\u{0}@example.com", "password": "correct horse" }),
        json!({ "email": "bob@example.com", "password": "correct horse", "roles": "admin" }),
    ] {
        let refused = post("/v1/users", &body).await?;
        assert_eq!(refused.status(), 400, "{body}");
    }
    assert_eq!(
        post("/v1/sessions", &json!({ "email": "bob@example.com" }))
            .await?
            .status(),
        400
    );
    let free = post(
        "/v1/users",
        &json!({ "email": "bob@example.com", "password": "correct horse" }),
    )
    .await?;
    assert_eq!(free.status(), 201, "nothing of the refused was kept");
    Ok(())
}
