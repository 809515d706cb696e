//! Products of which one buyer may have so much and no more, whatever comes at once.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper, lines};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

/// Each test has products of its own, ten units each at 10.00.
static STACK: LazyLock<(Stack, Proxy)> = LazyLock::new(|| start().expect("a shop"));

const PATIENCE: Duration = Duration::from_secs(30);

/// Two proxies on the same servers.
fn start() -> Result<(Stack, Proxy)> {
    let products = [
        "RUSH", "FREE", "BACK", "GUESTS", "HELD", "LATER", "KILLED", "FULL",
    ];
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        environment: environment_of(&[
            ("HOLDFAST_RECOVERY__LEASE_MS", "1000"),
            ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ]),
        ..StackOptions::default()
    })?;
    let other = stack.another_proxy()?;
    Ok((stack, other))
}

async fn mysql() -> Result<MySqlConnection> {
    Ok(MySqlConnection::connect(&STACK.0.database_url()).await?)
}

async fn limit(sku: &str, limit: i64) -> Result<()> {
    let shop = Shop::of(&STACK.0.proxy);
    let (path, body) = (
        format!("/v1/products/{sku}"),
        json!({ "buyer_limit": limit }),
    );
    let reply = shop.call(Method::PATCH, &path, &body).await?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(())
}

async fn user(name: &str) -> Result<Shopper> {
    let shop = Shop::of(&STACK.0.proxy);
    let email = format!("{name}@example.com");
    shop.register(&email).await?;
    shop.log_in(&email).await
}

/// What MySQL counts of a SKU, and what its orders that were not called off have, over all buyers.
async fn counted(sku: &str) -> Result<(i64, i64)> {
    let counts = sqlx::query_as(
        "SELECT (SELECT CAST(COALESCE(SUM(quantity), 0) AS SIGNED) FROM buyer_purchases WHERE sku = ?), \
         (SELECT CAST(COALESCE(SUM(l.quantity), 0) AS SIGNED) FROM orders o JOIN order_lines l ON l.order_id = o.id \
          WHERE l.sku = ? AND o.status IN ('PENDING', 'PAID', 'CONFIRMED'))",
    );
    let counts = counts.bind(sku).bind(sku);
    Ok(counts.fetch_one(&mut mysql().await?).await?)
}

async fn hold(shopper: &Shopper, sku: &str, quantity: i64) -> Result<Reply> {
    let body = json!({ "items": lines(&[(sku, quantity)]) });
    shopper.call(Method::POST, "/v1/holds", &body).await
}

async fn confirm(shopper: &Shopper, hold: &Reply) -> Result<Reply> {
    let body = json!({ "payment": { "card": GOOD_CARD } });
    let path = format!("/v1/holds/{}/confirm", hold.id()?);
    shopper.call(Method::POST, &path, &body).await
}

async fn cancel(shopper: &Shopper, order: &Reply) -> Result<Reply> {
    let path = format!("/v1/orders/{}/cancel", order.id()?);
    shopper.call(Method::POST, &path, &json!({})).await
}

/// Fifty tries of one user at once, over both proxies: orders, orders that are sent twice under one
/// key, and holds that were taken before and are confirmed now.
async fn fifty_tries(user: &Shopper, sku: &str) -> Result<Vec<Reply>> {
    Shop::of(&STACK.0.proxy).set_stock(sku, 1_000).await?;
    let at = |n: usize| match n % 2 {
        0 => user.clone(),
        _ => user.at(&STACK.1),
    };
    let held = try_join_all((0..5).map(|_| hold(user, sku, 1))).await?;
    let confirmations = held.iter().enumerate().map(|(n, held)| {
        let user = at(n);
        async move { confirm(&user, held).await }
    });
    let orders = (0..45_usize).map(|n| {
        let user = at(n);
        async move {
            let key = (n % 3 == 0).then(|| format!("{sku}-{}", n / 6));
            user.order(&[(sku, 1)], GOOD_CARD, key.as_deref()).await
        }
    });
    let (confirmed, ordered) = futures::join!(try_join_all(confirmations), try_join_all(orders));
    Ok([confirmed?, ordered?].concat())
}

/// The orders that were sold, each once.
fn sold(replies: &[Reply]) -> Vec<&str> {
    let sold = replies.iter().filter(|reply| reply.status == 201);
    let mut ids: Vec<&str> = sold.filter_map(|reply| reply.id().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[tokio::test]
async fn one_user_gets_what_one_may_have_whatever_comes_at_once() -> Result<()> {
    limit("RUSH", 2).await?;
    let user = user("rush").await?;
    let replies = fifty_tries(&user, "RUSH").await?;
    assert_eq!(sold(&replies).len(), 2, "{replies:#?}");
    for reply in &replies {
        let kinds = ["", "buyer-limit", "request-in-flight"];
        assert!(kinds.contains(&reply.problem()), "{reply:?}");
    }
    assert!(replies.iter().any(|reply| reply.problem() == "buyer-limit"));
    assert_eq!(counted("RUSH").await?, (2, 2));
    let refused = user.buy("RUSH", 1, GOOD_CARD).await?;
    assert_eq!((refused.status, refused.problem()), (409, "buyer-limit"));
    let says = (
        &refused.body["sku"],
        &refused.body["limit"],
        &refused.body["bought"],
    );
    assert_eq!(says, (&json!("RUSH"), &json!(2), &json!(2)));
    Ok(())
}

/// The control: without a limit the same tries are all sold, so that the limit is what stopped them.
#[tokio::test]
async fn without_a_limit_the_same_tries_are_all_sold() -> Result<()> {
    let replies = fifty_tries(&user("free").await?, "FREE").await?;
    // Of the 15 orders under a key 14 are pairs.
    assert_eq!(sold(&replies).len(), 5 + 30 + 8, "{replies:#?}");
    assert_eq!(counted("FREE").await?, (0, 43), "nothing is counted");
    Ok(())
}

#[tokio::test]
async fn what_comes_to_nothing_may_be_bought_again() -> Result<()> {
    limit("BACK", 2).await?;
    let user = user("back").await?;
    let declined = user.buy("BACK", 2, DECLINED_CARD).await?;
    assert_eq!(declined.status, 402);
    assert_eq!(counted("BACK").await?, (0, 0));
    let first = user.buy("BACK", 2, GOOD_CARD).await?;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(
        user.buy("BACK", 1, GOOD_CARD).await?.problem(),
        "buyer-limit"
    );
    assert_eq!(cancel(&user, &first).await?.status, 200);
    assert_eq!(counted("BACK").await?, (0, 0));
    // A cancellation that is repeated gives nothing back twice.
    assert_eq!(cancel(&user, &first).await?.status, 200);
    assert_eq!(counted("BACK").await?, (0, 0));
    assert_eq!(user.buy("BACK", 2, GOOD_CARD).await?.status, 201);
    // A limit that is lowered takes nothing back, and allows nothing more.
    limit("BACK", 1).await?;
    assert_eq!(
        user.buy("BACK", 1, GOOD_CARD).await?.problem(),
        "buyer-limit"
    );
    assert_eq!(counted("BACK").await?, (2, 2));
    Ok(())
}

#[tokio::test]
async fn guests_are_told_to_log_in_and_each_user_has_a_limit_of_their_own() -> Result<()> {
    limit("GUESTS", 1).await?;
    let guest = Shop::of(&STACK.0.proxy).guest().await?;
    for refused in [
        guest.buy("GUESTS", 1, GOOD_CARD).await?,
        hold(&guest, "GUESTS", 1).await?,
    ] {
        assert_eq!((refused.status, refused.problem()), (403, "forbidden"));
        let says = refused.body["detail"].as_str().context("a detail")?;
        assert!(says.contains("log in"), "{says}");
    }
    for name in ["guests-1", "guests-2"] {
        let user = user(name).await?;
        assert_eq!(
            user.buy("GUESTS", 2, GOOD_CARD).await?.problem(),
            "buyer-limit"
        );
        assert_eq!(user.buy("GUESTS", 1, GOOD_CARD).await?.status, 201);
    }
    assert_eq!(counted("GUESTS").await?, (2, 2));
    Ok(())
}

#[tokio::test]
async fn what_is_held_counts_when_it_is_confirmed() -> Result<()> {
    limit("HELD", 2).await?;
    let user = user("held").await?;
    let (first, second) = (hold(&user, "HELD", 2).await?, hold(&user, "HELD", 1).await?);
    assert_eq!((first.status, second.status), (201, 201));
    let order = confirm(&user, &first).await?;
    assert_eq!(order.status, 201);
    let refused = confirm(&user, &second).await?;
    assert_eq!((refused.status, refused.problem()), (409, "buyer-limit"));
    assert_eq!(
        hold(&user, "HELD", 1).await?.problem(),
        "buyer-limit",
        "it is told before anything is held"
    );
    // The hold is still there, and may be confirmed after all when there is room again.
    assert_eq!(cancel(&user, &order).await?.status, 200);
    assert_eq!(confirm(&user, &second).await?.status, 201);
    assert_eq!(counted("HELD").await?, (1, 1));
    Ok(())
}

#[tokio::test]
async fn what_was_ordered_before_there_was_a_limit_does_not_count() -> Result<()> {
    let user = user("later").await?;
    let before = user.buy("LATER", 3, GOOD_CARD).await?;
    assert_eq!(before.status, 201);
    limit("LATER", 2).await?;
    let after = user.buy("LATER", 2, GOOD_CARD).await?;
    assert_eq!(after.status, 201, "{after:?}");
    assert_eq!(counted("LATER").await?, (2, 5));
    assert_eq!(cancel(&user, &before).await?.status, 200);
    assert_eq!(
        counted("LATER").await?,
        (2, 2),
        "what was not counted is not given back"
    );
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_is_killed_leaves_the_count_right() -> Result<()> {
    limit("KILLED", 2).await?;
    let user = user("killed").await?;
    let doomed = STACK.0.another_proxy()?;
    let there = user.at(&doomed);
    let tries = (0..8).map(|_| there.buy("KILLED", 1, SLOW_CARD));
    let (answers, killed) = futures::join!(join_all(tries), async {
        wait::until_async("two orders that are being paid", PATIENCE, || async {
            Ok((counted("KILLED").await? == (2, 2)).then_some(()))
        })
        .await?;
        doomed.server().kill()
    });
    killed?;
    let answered = answers.into_iter().flatten();
    ensure!(answered.filter(|reply| reply.status == 201).count() == 0);
    // Another proxy finishes what was left: sold, if the provider has the money, or called off.
    wait::until_async("settled orders", PATIENCE, || async {
        let open: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM orders o JOIN order_lines l ON l.order_id = o.id \
             WHERE l.sku = 'KILLED' AND o.settled = 0",
        )
        .fetch_one(&mut mysql().await?)
        .await?;
        Ok((open == 0).then_some(()))
    })
    .await?;
    let (count, ordered) = counted("KILLED").await?;
    assert_eq!(count, ordered);
    // As many as are left may be bought, and not one more.
    for _ in count..2 {
        assert_eq!(user.buy("KILLED", 1, GOOD_CARD).await?.status, 201);
    }
    assert_eq!(
        user.buy("KILLED", 1, GOOD_CARD).await?.problem(),
        "buyer-limit"
    );
    assert_eq!(counted("KILLED").await?, (2, 2));
    Ok(())
}

/// The last guard, should every other one be taken away.
#[tokio::test]
async fn the_table_itself_refuses_what_is_beyond_the_limit() -> Result<()> {
    limit("FULL", 2).await?;
    let user = user("full").await?;
    assert_eq!(user.buy("FULL", 2, GOOD_CARD).await?.status, 201);
    let mut mysql = mysql().await?;
    for change in ["quantity = quantity + 1", "quantity = -1"] {
        let update = format!("UPDATE buyer_purchases SET {change} WHERE sku = 'FULL'");
        let refused = sqlx::query(AssertSqlSafe(update)).execute(&mut mysql).await;
        assert!(refused.is_err(), "{change} is taken");
    }
    Ok(())
}
