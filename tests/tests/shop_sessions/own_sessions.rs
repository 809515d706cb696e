//! A user sees the sessions that are the user's own, and ends them.

use futures::future::try_join_all;

use super::*;

fn ids(list: &Reply) -> Result<Vec<String>> {
    let sessions = list.body["sessions"].as_array();
    let ids = sessions
        .with_context(|| format!("no list: {list:?}"))?
        .iter();
    Ok(ids
        .filter_map(|session| session["session_id"].as_str().map(str::to_owned))
        .collect())
}

#[tokio::test]
async fn they_are_listed_and_ended_one_by_one() -> Result<()> {
    let email = "list@example.com";
    shop().register(email).await?;
    let (here, there) = (shop().log_in(email).await?, shop().log_in(email).await?);
    let me = here.get("/v1/users/me").await?;
    assert_eq!(me.body["email"], email);
    assert_eq!(me.body["user_id"], here.session()["owner"]);
    let list = here.get("/v1/users/me/sessions").await?;
    assert_eq!(
        ids(&list)?,
        [here.session_id(), there.session_id()],
        "the older one first"
    );
    let current: Vec<_> = list.body["sessions"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|session| session["current"].clone())
        .collect();
    assert_eq!(current, [true, false]);
    let secret = there.token().split('.').nth(1).context("a secret")?;
    assert!(!list.body.to_string().contains(secret));

    let stranger = shop().guest().await?;
    let path = format!("/v1/users/me/sessions/{}", there.session_id());
    assert_eq!(
        stranger
            .call(Method::DELETE, &path, &json!({}))
            .await?
            .status,
        403
    );
    shop().register("other@example.com").await?;
    let other = shop().log_in("other@example.com").await?;
    assert_eq!(
        other.call(Method::DELETE, &path, &json!({})).await?.status,
        404
    );
    assert_eq!(there.get("/v1/sessions/current").await?.status, 200);
    assert_eq!(
        here.call(Method::DELETE, &path, &json!({})).await?.status,
        204
    );
    assert_eq!(there.get("/v1/sessions/current").await?.status, 401);
    assert_eq!(
        here.call(Method::DELETE, &path, &json!({})).await?.status,
        404
    );

    let again = shop().log_in(email).await?;
    assert_eq!(
        again
            .call(Method::DELETE, "/v1/users/me/sessions", &json!({}))
            .await?
            .status,
        204
    );
    assert_eq!(here.get("/v1/sessions/current").await?.status, 401);
    assert_eq!(
        ids(&again.get("/v1/users/me/sessions").await?)?,
        [again.session_id()]
    );
    Ok(())
}

#[tokio::test]
async fn beyond_the_cap_the_oldest_go_even_for_parallel_logins() -> Result<()> {
    let email = "many@example.com";
    shop().register(email).await?;
    let mut one_by_one = Vec::new();
    for _ in 0..MOST + 1 {
        one_by_one.push(shop().log_in(email).await?);
    }
    let statuses = try_join_all(
        one_by_one
            .iter()
            .map(|user| user.get("/v1/sessions/current")),
    )
    .await?;
    let statuses: Vec<_> = statuses.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [401, 200, 200, 200]);

    let shop = shop();
    let crowd = try_join_all((0..4 * MOST).map(|_| shop.log_in(email))).await?;
    let live = try_join_all(crowd.iter().map(|user| user.get("/v1/sessions/current"))).await?;
    let live = live.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(live, MOST);
    let gone = one_by_one[MOST].get("/v1/sessions/current").await?;
    assert_eq!(gone.status, 401, "it was older than all of the crowd");
    Ok(())
}

#[tokio::test]
async fn a_password_change_logs_out_everywhere() -> Result<()> {
    let email = "change@example.com";
    shop().register(email).await?;
    let (here, there) = (shop().log_in(email).await?, shop().log_in(email).await?);
    let path = "/v1/users/me/password";
    let wrong = json!({ "current": "wrong horse", "new": "another horse" });
    assert_eq!(
        here.call(Method::PUT, path, &wrong).await?.problem(),
        "bad-credentials"
    );
    let short = json!({ "current": "correct horse", "new": "short" });
    assert_eq!(
        here.call(Method::PUT, path, &short).await?.problem(),
        "invalid-value"
    );
    assert_eq!(
        there.get("/v1/sessions/current").await?.status,
        200,
        "nothing has happened"
    );
    let right = json!({ "current": "correct horse", "new": "another horse" });
    let changed = here.call(Method::PUT, path, &right).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    for old in [&here, &there] {
        assert_eq!(old.get("/v1/sessions/current").await?.status, 401);
    }
    let current = with_cookie(&cookie_of(&changed)?, Method::GET, "/v1/sessions/current").await?;
    assert_eq!(current.status, 200);
    let log_in =
        |password| send(request(Method::POST, "/v1/sessions").json(&credentials(email, password)));
    assert_eq!(log_in("correct horse").await?.status, 401);
    assert_eq!(log_in("another horse").await?.status, 201);
    Ok(())
}
