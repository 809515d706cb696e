//! Who helps customers and who runs the shop.

use holdfast_proxy::sessions::of_people::StartError;

use super::*;

#[tokio::test]
async fn a_change_of_roles_ends_the_sessions_that_had_the_old_ones() -> Result<()> {
    let email = "boss@example.com";
    shop().register(email).await?;
    let customer = shop().log_in(email).await?;
    let set = |user: &holdfast_tests::shop::Shopper| {
        let user = user.clone();
        async move {
            user.call(
                Method::PUT,
                "/v1/stock/TEA-CADDY",
                &json!({ "on_hand": 40 }),
            )
            .await
        }
    };
    assert_eq!(set(&customer).await?.status, 403);
    let told = STACK.proxy.run(&["users", "grant", email, "admin"])?;
    assert_eq!(told.trim(), format!("{email}: customer,admin"));
    assert_eq!(customer.get("/v1/sessions/current").await?.status, 401);
    let admin = shop().log_in(email).await?;
    assert_eq!(admin.session()["roles"], json!(["customer", "admin"]));
    assert_eq!(set(&admin).await?.status, 200);
    STACK.proxy.run(&["users", "revoke", email, "admin"])?;
    assert_eq!(set(&admin).await?.status, 401);
    let customer = shop().log_in(email).await?;
    assert_eq!(set(&customer).await?.status, 403);
    assert!(
        STACK
            .proxy
            .run(&["users", "grant", "nobody@example.com", "admin"])
            .is_err()
    );
    Ok(())
}

/// Between the reading of the user and the beginning of the session the roles change.
#[tokio::test]
async fn a_login_that_a_change_of_roles_overtakes_comes_to_nothing() -> Result<()> {
    let email = "overtaken@example.com";
    shop().register(email).await?;
    STACK.proxy.run(&["users", "grant", email, "admin"])?;
    let (sessions, store) = by_library()?;
    let read = store.user_by_email(&email.parse()?).await?;
    let read = read.context("a user")?;
    let begun = sessions.start_for(&read).await?;
    assert_eq!(
        sessions.of(read.id).await?.len(),
        1,
        "the control: nothing has changed"
    );
    STACK.proxy.run(&["users", "revoke", email, "admin"])?;
    assert!(
        sessions.of(read.id).await?.is_empty(),
        "{} was ended",
        begun.token.id
    );
    let late = sessions.start_for(&read).await.err();
    assert!(matches!(late, Some(StartError::UserChanged)), "{late:?}");
    assert!(
        sessions.of(read.id).await?.is_empty(),
        "no session has the old role"
    );
    Ok(())
}
