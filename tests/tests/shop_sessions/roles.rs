//! Who helps customers and who runs the shop.

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
