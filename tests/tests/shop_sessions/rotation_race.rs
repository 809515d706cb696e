//! "Two tabs rotated the session at once, and one of them was logged out, or both cookies worked."

use futures::future::try_join;

use super::*;

#[tokio::test]
async fn two_logins_with_one_old_cookie_leave_two_sessions_and_one_cart() -> Result<()> {
    let email = "rotate@example.com";
    shop().register(email).await?;
    let guest = send(request(Method::POST, "/v1/sessions")).await?;
    let old = cookie_of(&guest)?;
    let add = request(Method::POST, "/v1/cart/items").header(COOKIE, &old);
    let added = send(add.json(&json!({ "sku": "TEA-CADDY", "quantity": 2 }))).await?;
    assert_eq!(added.status, 200, "{added:?}");

    let log_in = || {
        let request = request(Method::POST, "/v1/sessions").header(COOKIE, &old);
        send(request.json(&credentials(email, "correct horse")))
    };
    let (one, other) = try_join(log_in(), log_in()).await?;
    assert_eq!((one.status, other.status), (201, 201));
    let (one, other) = (cookie_of(&one)?, cookie_of(&other)?);
    assert!(one != other && one != old && other != old);
    assert_eq!(
        with_cookie(&old, Method::GET, "/v1/sessions/current")
            .await?
            .status,
        401
    );
    for cookie in [&one, &other] {
        let cart = with_cookie(cookie, Method::GET, "/v1/cart").await?;
        assert_eq!(cart.body["lines"][0]["quantity"], 2, "added once: {cart:?}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_password_changes_with_one_session_one_comes_through() -> Result<()> {
    let email = "twice@example.com";
    shop().register(email).await?;
    let user = shop().log_in(email).await?;
    let change = |new: &'static str| {
        let body = json!({ "current": "correct horse", "new": new });
        let user = user.clone();
        async move { user.call(Method::PUT, "/v1/users/me/password", &body).await }
    };
    let (one, other) = try_join(change("first horse"), change("second horse")).await?;
    let statuses = [one.status, other.status];
    let changed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(changed, 1, "{one:?} {other:?}");
    assert!(statuses.contains(&401), "{one:?} {other:?}");
    let (winner, password) = match one.status {
        200 => (one, "first horse"),
        _ => (other, "second horse"),
    };
    assert_eq!(
        user.get("/v1/sessions/current").await?.status,
        401,
        "the old one is over"
    );
    let cookie = cookie_of(&winner)?;
    let list = with_cookie(&cookie, Method::GET, "/v1/users/me/sessions").await?;
    assert_eq!(
        list.body["sessions"].as_array().map(Vec::len),
        Some(1),
        "{list:?}"
    );
    let log_in = request(Method::POST, "/v1/sessions").json(&credentials(email, password));
    assert_eq!(send(log_in).await?.status, 201);
    Ok(())
}

#[test]
fn of_two_rotations_with_one_secret_one_comes_through() -> Result<()> {
    let mut redis = redis()?;
    let key = "session:rotation-race";
    let digest = |n: u8| [n; 32].to_vec();
    let _: redis::Value = redis::cmd("SESSION.START")
        .arg(key)
        .arg(digest(1))
        .arg("ada")
        .query(&mut redis)?;
    let rotations: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (2..10)
            .map(|n| {
                scope.spawn(move || -> Result<String> {
                    let mut redis = self::redis()?;
                    let mut command = redis::cmd("SESSION.ROTATE");
                    command.arg(key).arg(digest(1)).arg(digest(n));
                    Ok(command.query(&mut redis)?)
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        joined.collect::<Result<_>>()
    })?;
    let won = rotations.iter().filter(|state| *state == "OK").count();
    assert_eq!(won, 1, "{rotations:?}");
    Ok(())
}
