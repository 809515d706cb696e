//! Sessions without Redis.

use anyhow::{Result, ensure};
use holdfast_tests::shop::{Shop, Shopper, send};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, MySqlConnection};
use uuid::Uuid;

use super::{PATIENCE, STACK, is_in_redis, is_refused_for_now, while_redis_hangs};

#[tokio::test]
async fn who_is_logged_in_goes_on_and_who_logs_out_stays_out() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.register("ada@example.com").await?;
    let ada = shop.log_in("ada@example.com").await?;
    let [leaves_before, leaves_meanwhile] = [
        shop.log_in("ada@example.com").await?,
        shop.log_in("ada@example.com").await?,
    ];
    assert_eq!(log_out(&leaves_before).await?, 204);

    while_redis_hangs(&stack, async || {
        let current = ada.get("/v1/sessions/current").await?;
        assert_eq!(current.status, 200, "{current:?}");
        assert_eq!(current.body["owner"], ada.session()["owner"]);
        assert_eq!(current.body["roles"], json!(["customer"]));
        assert_eq!(ada.get("/v1/orders").await?.status, 200);
        assert_eq!(status(&forged(&ada)).await?, 401);
        assert_eq!(status(&leaves_before).await?, 401);

        assert_eq!(status(&leaves_meanwhile).await?, 200);
        assert_eq!(log_out(&leaves_meanwhile).await?, 204);
        assert_eq!(status(&leaves_meanwhile).await?, 401);

        let cart = ada.get("/v1/cart").await?;
        assert!(is_refused_for_now(&cart), "{cart:?}");
        Ok(())
    })
    .await?;

    assert_eq!(status(&ada).await?, 200);
    assert_eq!(status(&leaves_meanwhile).await?, 401);
    assert!(is_in_redis(&stack, ada.session_id())?);
    assert!(!is_in_redis(&stack, leaves_meanwhile.session_id())?);
    Ok(())
}

#[tokio::test]
async fn sessions_that_redis_has_lost_are_brought_back_unless_they_ended() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    let [stays, leaves, forgotten, overtaken] = [
        shop.guest().await?,
        shop.guest().await?,
        shop.guest().await?,
        shop.guest().await?,
    ];
    assert_eq!(log_out(&leaves).await?, 204);
    // The control: without its copy a session that Redis loses is lost.
    let mut database = MySqlConnection::connect(&stack.database_url()).await?;
    forget_copy(&mut database, &forgotten).await?;
    // Whose copy comes late has ended all the same.
    forget_copy(&mut database, &overtaken).await?;
    assert_eq!(log_out(&overtaken).await?, 204);
    let is_ended = sqlx::query_scalar("SELECT ended_at IS NOT NULL FROM sessions WHERE id = ?");
    let is_ended: bool = is_ended
        .bind(id(&overtaken)?)
        .fetch_one(&mut database)
        .await?;
    assert!(is_ended);
    let mut redis = stack.redis.connection()?;
    redis::cmd("FLUSHALL").exec(&mut redis)?;

    assert_eq!(status(&forged(&stays)).await?, 401);
    assert!(!is_in_redis(&stack, stays.session_id())?);
    let current = stays.get("/v1/sessions/current").await?;
    assert_eq!(current.status, 200, "{current:?}");
    assert_eq!(current.body["owner"], stays.session()["owner"]);
    assert!(is_in_redis(&stack, stays.session_id())?);
    for gone in [&leaves, &forgotten] {
        assert_eq!(status(gone).await?, 401);
        assert!(!is_in_redis(&stack, gone.session_id())?);
    }
    Ok(())
}

#[tokio::test]
async fn who_logged_out_before_a_proxy_began_is_told_by_it() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    let [leaves, stays] = [shop.guest().await?, shop.guest().await?];
    // As a proxy leaves it that ends before Redis is back.
    let mut database = MySqlConnection::connect(&stack.database_url()).await?;
    let end =
        sqlx::query("UPDATE sessions SET ended_at = NOW(3) - INTERVAL 10 MINUTE WHERE id = ?");
    end.bind(id(&leaves)?).execute(&mut database).await?;
    assert!(is_in_redis(&stack, leaves.session_id())?, "nobody tells");

    let _proxy = stack.another_proxy()?;
    wait::until("redis to be told", PATIENCE, || {
        let lives = is_in_redis(&stack, leaves.session_id())?;
        Ok((!lives).then_some(()))
    })?;
    assert_eq!(status(&leaves).await?, 401);
    assert_eq!(status(&stays).await?, 200);
    Ok(())
}

fn id(shopper: &Shopper) -> Result<Uuid> {
    Ok(shopper.session_id().parse()?)
}

async fn forget_copy(database: &mut MySqlConnection, shopper: &Shopper) -> Result<()> {
    let forget = sqlx::query("DELETE FROM sessions WHERE id = ?");
    let forgotten = forget.bind(id(shopper)?).execute(database).await?;
    ensure!(forgotten.rows_affected() == 1, "there was no copy");
    Ok(())
}

/// Somebody who knows the session's id and not its secret.
fn forged(shopper: &Shopper) -> Shopper {
    shopper.with_token(&format!("{}.{}", shopper.session_id(), "0".repeat(64)))
}

async fn status(shopper: &Shopper) -> Result<u16> {
    Ok(shopper.get("/v1/sessions/current").await?.status)
}

async fn log_out(shopper: &Shopper) -> Result<u16> {
    let request = shopper.request(Method::DELETE, "/v1/sessions/current");
    Ok(send(request).await?.status)
}
