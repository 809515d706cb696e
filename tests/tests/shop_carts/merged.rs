//! At login the guest's lines are added to the user's, whatever fails and however many log in at once.

use futures::future::try_join_all;

use super::*;

/// A user who has a lamp in the cart, and the form to log in with.
async fn user_with_a_lamp(stack: &Stack, email: &str) -> Result<Value> {
    shop(stack).register(email).await?;
    let user = shop(stack).log_in(email).await?;
    add(&user, "LAMP", 1).await?;
    Ok(json!({ "email": email, "password": "correct horse" }))
}

#[tokio::test]
async fn two_logins_of_one_guest_add_nothing_twice() -> Result<()> {
    let stack = STACK.read().await;
    for round in 0..5 {
        let email = format!("twice-{round}@example.com");
        let form = user_with_a_lamp(&stack, &email).await?;
        let guest = shop(&stack).guest().await?;
        add(&guest, "LAMP", 2).await?;
        add(&guest, "VASE", MOST).await?;
        let logins = (0..4).map(|_| guest.call(Method::POST, "/v1/sessions", &form));
        for login in try_join_all(logins).await? {
            assert_eq!(login.status, 201, "{login:?}");
        }
        let user = shop(&stack).log_in(&email).await?;
        let merged = of(&[("LAMP", 3), ("VASE", MOST)]);
        assert_eq!(cart(&user).await?, merged, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn a_merge_that_was_cut_off_is_finished_and_what_came_later_is_no_part_of_it() -> Result<()> {
    let stack = STACK.read().await;
    let email = "cut-off@example.com";
    let form = user_with_a_lamp(&stack, email).await?;
    let owner = shop(&stack).log_in(email).await?;
    let guest = shop(&stack).guest().await?;
    // The lamps were added to the user's cart already, the bowl was put in afterwards.
    let number = "0190163d-8694-739b-aea5-966c26f8ad91";
    let done = format!("{}:merged:{number}", key(&owner)?);
    let apart = format!("{}:merge", key(&guest)?);
    let mut redis = redis(&stack)?;
    let () = redis::cmd("SET").arg(done).arg(1).query(&mut redis)?;
    let () = redis::cmd("HSET")
        .arg(apart)
        .arg(&["LAMP", "7", "merge", number])
        .query(&mut redis)?;
    add(&guest, "BOWL", 2).await?;
    let login = guest.call(Method::POST, "/v1/sessions", &form).await?;
    assert_eq!(login.status, 201, "{login:?}");
    assert_eq!(cart(&owner).await?, of(&[("LAMP", 1), ("BOWL", 2)]));
    Ok(())
}

#[tokio::test]
async fn a_users_cart_outlives_the_session() -> Result<()> {
    let stack = STACK.read().await;
    shop(&stack).register("later@example.com").await?;
    let user = shop(&stack).log_in("later@example.com").await?;
    add(&user, "LAMP", 1).await?;
    let lives_ms: u64 = redis::cmd("PTTL")
        .arg(key(&user)?)
        .query(&mut redis(&stack)?)?;
    let session_ms = user.session()["absolute_ms"].as_u64().context("a time")?;
    assert!(lives_ms > session_ms, "{lives_ms} ms");
    let ended = user
        .call(Method::DELETE, "/v1/sessions/current", &json!({}))
        .await?;
    assert_eq!(ended.status, 204, "{ended:?}");
    let again = shop(&stack).log_in("later@example.com").await?;
    assert_eq!(cart(&again).await?, of(&[("LAMP", 1)]));
    Ok(())
}
