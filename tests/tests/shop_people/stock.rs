//! The operator at the stock.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use holdfast_tests::wait;
use nix::sys::signal::Signal;

use super::*;

#[tokio::test]
async fn only_the_operator_changes_stock() -> Result<()> {
    let guest = shop().guest().await?;
    let change = json!({ "adjustment_id": "mine", "delta": 5, "reason": "restocked" });
    for (method, path, body) in [
        (Method::PUT, "/v1/stock/VIEW-1", json!({ "on_hand": 99 })),
        (Method::POST, "/v1/stock/VIEW-1/adjustments", change),
    ] {
        let refused = guest.call(method.clone(), path, &body).await?;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (403, &json!("/problems/forbidden"))
        );
        let nobody = send(
            Client::new()
                .request(method, format!("{}{path}", STACK.proxy.url()))
                .json(&body),
        )
        .await?;
        assert_eq!(nobody.status, 401);
    }
    assert_eq!(in_mysql("VIEW-1").await?, (10, vec![10]));
    assert_eq!(shop().stock("VIEW-1").await?["on_hand"], 10);
    Ok(())
}

#[tokio::test]
async fn an_adjustment_is_made_once_however_often_it_is_sent() -> Result<()> {
    let replies = try_join_all((0..8).map(|_| adjust("ONCE-1", "delivery-17", 5))).await?;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &replies[0].body));
    }
    assert_eq!(replies[0].body["stock_after"], 15);
    assert_eq!(in_mysql("ONCE-1").await?, (15, vec![10, 5]));
    assert_eq!(shop().stock("ONCE-1").await?["on_hand"], 15);

    assert_eq!(adjust("ONCE-1", "delivery-17", 6).await?.status, 422);
    assert_eq!(
        adjust("ONCE-2", "delivery-17", 6).await?.status,
        200,
        "an id is one product's"
    );
    for (id, delta) in [
        ("", 1),
        ("a b", 1),
        ("x", 0),
        ("y", i64::MIN),
        ("z", i64::MAX),
    ] {
        assert_eq!(
            adjust("ONCE-1", id, delta).await?.status,
            400,
            "{id} {delta}"
        );
    }
    assert_eq!(adjust("ONCE-1", "w", -16).await?.status, 409);
    assert_eq!(adjust("NONE", "a", 1).await?.status, 404);
    assert_eq!(in_mysql("ONCE-1").await?, (15, vec![10, 5]));
    assert_eq!(shop().stock("ONCE-1").await?["on_hand"], 15);
    Ok(())
}

#[tokio::test]
async fn a_count_sets_the_stock() -> Result<()> {
    shop().set_stock("COUNT-1", 4).await?;
    shop().set_stock("COUNT-1", 4).await?;
    assert_eq!(in_mysql("COUNT-1").await?, (4, vec![10, -6]));
    assert_eq!(shop().stock("COUNT-1").await?["on_hand"], 4);
    for on_hand in [
        json!(-1),
        json!(9_223_372_036_854_775_808_u64),
        json!("4"),
        json!(null),
    ] {
        let refused = shop()
            .call(
                Method::PUT,
                "/v1/stock/COUNT-1",
                &json!({ "on_hand": on_hand }),
            )
            .await?;
        assert_eq!(refused.status, 400, "{on_hand}");
    }
    Ok(())
}

#[tokio::test]
async fn what_buyers_hold_cannot_be_written_off() -> Result<()> {
    let guest = shop().guest().await?;
    let body = json!({ "items": [{ "sku": "HELD-1", "quantity": 8 }] });
    let hold = guest.call(Method::POST, "/v1/holds", &body).await?;
    assert_eq!(hold.status, 201, "{hold:?}");

    let refused = adjust("HELD-1", "broken", -3).await?;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (409, &json!("/problems/below-held"))
    );
    assert_eq!(in_mysql("HELD-1").await?, (10, vec![10]), "undone in MySQL");
    let stock = shop().stock("HELD-1").await?;
    assert_eq!(
        (&stock["on_hand"], &stock["held"]),
        (&json!(10), &json!(8)),
        "unchanged in Redis"
    );
    let told: Vec<String> =
        sqlx::query_scalar("SELECT body FROM outbox WHERE message_key = 'HELD-1' ORDER BY id")
            .fetch_all(&mut database().await?)
            .await?;
    let told: Vec<Value> = told
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect::<Result<_, _>>()?;
    let balances: Vec<_> = told
        .iter()
        .map(|body| &body["balances"][0]["stock"])
        .collect();
    assert_eq!(
        balances,
        [&json!(10), &json!(7), &json!(10)],
        "and the undoing is told as well"
    );

    let id = hold.body["hold_id"].as_str().context("an id")?;
    assert_eq!(
        send(guest.request(Method::DELETE, &format!("/v1/holds/{id}")))
            .await?
            .status,
        204
    );
    assert_eq!(
        adjust("HELD-1", "broken", -3).await?.status,
        200,
        "the id is free again"
    );
    assert_eq!(in_mysql("HELD-1").await?, (7, vec![10, -3]));
    assert_eq!(shop().stock("HELD-1").await?["on_hand"], 7);
    Ok(())
}

#[tokio::test]
async fn a_change_that_redis_missed_is_delivered_when_it_is_back() -> Result<()> {
    // A Redis of its own, because it is stopped for a while.
    let stack = Stack::start(StackOptions {
        kafka: false,
        ..StackOptions::default()
    })?;
    let Ok(redis) = stack.redis.server() else {
        return Ok(());
    };
    let shop = Shop::of(&stack.proxy);
    redis.signal(Signal::SIGSTOP)?;
    let body = json!({ "adjustment_id": "late", "delta": 5, "reason": "restocked" });
    let accepted = shop
        .call(Method::POST, "/v1/stock/TEA-CADDY/adjustments", &body)
        .await;
    redis.signal(Signal::SIGCONT)?;
    let accepted = accepted?;
    assert_eq!(
        (accepted.status, &accepted.body["delivered"]),
        (202, &json!(false))
    );
    wait::until_async("the change in Redis", Duration::from_secs(30), || async {
        Ok((shop.stock("TEA-CADDY").await?["on_hand"] == 45).then_some(()))
    })
    .await?;
    wait::until_async("its acknowledgement", Duration::from_secs(30), || async {
        let mut database = MySqlConnection::connect(&stack.database_url()).await?;
        let waiting = "SELECT COUNT(*) FROM inventory_logs WHERE acknowledged_at IS NULL";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut database).await?;
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    let again = shop
        .call(Method::POST, "/v1/stock/TEA-CADDY/adjustments", &body)
        .await?;
    assert_eq!(
        (again.status, &again.body["stock_after"]),
        (200, &json!(45))
    );
    assert_eq!(shop.stock("TEA-CADDY").await?["on_hand"], 45);
    Ok(())
}
