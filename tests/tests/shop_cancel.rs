//! Cancelling orders: units and money go back once each, whatever happens meanwhile.
//!
//! The tests take turns on one stack, because some of them take a part of it away.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::{join, join_all, try_join_all};
use holdfast_tests::books::{self, Books, Expected};
use holdfast_tests::mysql::sessions;
use holdfast_tests::shop::{GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Pays; a refund is refused for good.
const NO_REFUND_CARD: &str = "4000000000000085";
const PATIENCE: Duration = Duration::from_secs(30);

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

/// Each test has products of its own, ten units each; leases are short, so that nobody waits long for what was left.
fn start() -> Result<Stack> {
    let products = [
        "UNPAID", "SOLD", "STRANGER", "LATE", "RACE", "BEFORE", "RETURN", "REFUND", "WRITE",
        "PARKED", "OTHER",
    ];
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "2000"),
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        environment: environment_of(&settings),
        ..StackOptions::default()
    })
}

async fn cancel(shopper: &Shopper, order: &str) -> Result<Reply> {
    let path = format!("/v1/orders/{order}/cancel");
    shopper.call(Method::POST, &path, &Value::Null).await
}

async fn status(shopper: &Shopper, order: &str) -> Result<String> {
    let reply = shopper.get(&format!("/v1/orders/{order}")).await?;
    Ok(reply.body["status"].as_str().unwrap_or_default().to_owned())
}

async fn wait_for_status(shopper: &Shopper, order: &str, wanted: &str) -> Result<()> {
    wait::until_async(
        &format!("order {order} to be {wanted}"),
        PATIENCE,
        || async {
            // A proxy that was killed may not answer yet.
            let now = status(shopper, order).await.unwrap_or_default();
            Ok((now == wanted).then_some(()))
        },
    )
    .await
}

/// Buys one unit and gives the order's id.
async fn bought(shopper: &Shopper, sku: &str, card: &str) -> Result<String> {
    let sold = shopper.buy(sku, 1, card).await?;
    ensure!(sold.status == 201, "not sold: {sold:?}");
    Ok(sold.id()?.to_owned())
}

/// Waits until everything agrees that of ten units these were sold, and no others.
async fn audit(stack: &Stack, sku: &str, sold: &[&str]) -> Result<Books> {
    books::audit(stack, sku, &Expected::of(10, sold, 0)).await
}

/// How often the order's money was given back.
async fn refunds(stack: &Stack, order: &str) -> Result<i64> {
    let payments = stack.payment.documents().await?;
    let payment = payments.iter().find(|payment| payment["order_id"] == order);
    Ok(payment.map_or(0, |payment| payment["refunds"].as_i64().unwrap_or_default()))
}

async fn mysql(stack: &Stack) -> Result<MySqlConnection> {
    Ok(MySqlConnection::connect(&stack.database_url()).await?)
}

/// Changes of the order's stock that the log has, and how many of them Redis has acknowledged.
async fn returns(stack: &Stack, order: &str) -> Result<(i64, i64)> {
    let query = "SELECT COUNT(*), COUNT(acknowledged_at) FROM inventory_logs WHERE order_id = ? AND reason = 'returned'";
    let id: Uuid = order.parse()?;
    Ok(sqlx::query_as(query)
        .bind(id.as_bytes().as_slice())
        .fetch_one(&mut mysql(stack).await?)
        .await?)
}

#[tokio::test]
async fn an_order_that_is_being_paid_for_is_cancelled_at_once() -> Result<()> {
    let stack = STACK.lock().await;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let cancelling = async {
        let id = wait::until_async("a payment to begin", PATIENCE, || async {
            let orders = buyer.orders().await?;
            let id = orders.first().and_then(|order| order["order_id"].as_str());
            let Some(id) = id else { return Ok(None) };
            let begun = stack.payment.all().await?.contains_key(id);
            Ok(begun.then(|| id.to_owned()))
        })
        .await?;
        let cancelled = cancel(&buyer, &id).await?;
        anyhow::Ok((id, cancelled))
    };
    let (answer, cancelled) = join(buyer.buy("UNPAID", 3, SLOW_CARD), cancelling).await;
    let (id, cancelled) = cancelled?;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "CANCELLED");
    assert_eq!(cancelled.body["reason"], "cancelled_by_shopper");
    let answer = answer?;
    assert_eq!((answer.status, answer.problem()), (409, "order-cancelled"));
    let books = audit(&stack, "UNPAID", &[]).await?;
    assert_ne!(books.payments[&id], "captured");
    Ok(())
}

#[tokio::test]
async fn a_sold_order_comes_back_whole_and_once() -> Result<()> {
    let stack = STACK.lock().await;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let id = bought(&buyer, "SOLD", GOOD_CARD).await?;
    for reply in try_join_all((0..5).map(|_| cancel(&buyer, &id))).await? {
        assert_eq!((reply.status, reply.id()?), (200, id.as_str()), "{reply:?}");
        assert_eq!(reply.body["reason"], "cancelled_by_shopper");
    }
    wait_for_status(&buyer, &id, "REFUNDED").await?;
    assert_eq!(cancel(&buyer, &id).await?.body["status"], "REFUNDED");
    audit(&stack, "SOLD", &[]).await?;
    assert_eq!(refunds(&stack, &id).await?, 1);
    assert_eq!(returns(&stack, &id).await?, (1, 1));
    // What came back can be sold again, all of it.
    let again = buyer.buy("SOLD", 10, GOOD_CARD).await?;
    assert_eq!(again.status, 201, "{again:?}");
    audit(&stack, "SOLD", &[again.id()?]).await.map(drop)
}

#[tokio::test]
async fn a_stranger_cannot_cancel() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    let (buyer, stranger) = (shop.guest().await?, shop.guest().await?);
    let id = bought(&buyer, "STRANGER", GOOD_CARD).await?;
    let unknown = Uuid::nil().to_string();
    for id in [id.as_str(), &unknown, "no-order"] {
        let reply = cancel(&stranger, id).await?;
        assert_eq!((reply.status, reply.problem()), (404, "not-found"));
    }
    audit(&stack, "STRANGER", &[&id]).await.map(drop)
}

#[tokio::test]
async fn after_its_time_a_sale_stays() -> Result<()> {
    let stack = STACK.lock().await;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let id = bought(&buyer, "LATE", GOOD_CARD).await?;
    let order: Uuid = id.parse()?;
    sqlx::query(
        "UPDATE hold_outcomes SET decided_at = decided_at - INTERVAL 25 HOUR WHERE order_id = ?",
    )
    .bind(order.as_bytes().as_slice())
    .execute(&mut mysql(&stack).await?)
    .await?;
    let late = cancel(&buyer, &id).await?;
    assert_eq!((late.status, late.problem()), (409, "cannot-cancel"));
    assert_eq!(status(&buyer, &id).await?, "CONFIRMED");
    audit(&stack, "LATE", &[&id]).await.map(drop)
}

/// Orders are cancelled through two proxies from the moment they are known, while they are being bought.
#[tokio::test]
async fn of_a_sale_and_its_cancellation_at_once_the_end_is_the_same_everywhere() -> Result<()> {
    let stack = STACK.lock().await;
    let another = stack.another_proxy()?;
    let buyers =
        try_join_all((0..6).map(|_| async { Shop::of(&stack.proxy).guest().await })).await?;
    let raced = buyers.iter().map(|buyer| {
        let cancelling = async {
            let id = wait::until_async("the order", PATIENCE, || async {
                let orders = buyer.orders().await?;
                let id = orders.first().and_then(|order| order["order_id"].as_str());
                Ok(id.map(str::to_owned))
            })
            .await?;
            let elsewhere = buyer.at(&another);
            let (here, there) = join(cancel(buyer, &id), cancel(&elsewhere, &id)).await;
            for reply in [here?, there?] {
                ensure!(reply.status == 200, "not cancelled: {reply:?}");
            }
            Ok(id)
        };
        async move {
            let (answer, id) = join(buyer.buy("RACE", 1, GOOD_CARD), cancelling).await;
            let answer = answer?;
            ensure!(
                answer.status == 201
                    || answer.problem() == "order-cancelled"
                    || answer.problem() == "hold-ended",
                "an odd answer: {answer:?}"
            );
            id
        }
    });
    let ids = join_all(raced)
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    audit(&stack, "RACE", &[]).await?;
    for id in &ids {
        assert!(refunds(&stack, id).await? <= 1, "{id}");
    }
    another.server().stop()
}

/// Kills the proxy in each step of a cancellation: the step is held up by what it needs, which is freed once the
/// proxy is dead.
#[tokio::test]
async fn a_cancellation_goes_on_after_a_crash_in_any_step() -> Result<()> {
    let stack = STACK.lock().await;
    let outcome = crash_in_each_step(&stack).await;
    stack.proxy.start()?;
    outcome
}

async fn crash_in_each_step(stack: &Stack) -> Result<()> {
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let mut held = mysql(stack).await?;

    // Nothing is written yet, so nothing is cancelled.
    let before = bought(&buyer, "BEFORE", GOOD_CARD).await?;
    audit(stack, "BEFORE", &[&before]).await?;
    let mut lock = held.begin().await?;
    lock_order(&mut lock, &before).await?;
    crash_while(stack, &buyer, &before, async || wait_for_lock(stack).await).await?;
    lock.rollback().await?;
    stack.proxy.start()?;
    audit(stack, "BEFORE", &[&before]).await?;

    if let Ok(redis) = stack.redis.server() {
        let id = bought(&buyer, "RETURN", GOOD_CARD).await?;
        audit(stack, "RETURN", &[&id]).await?;
        // The lock holds the cancellation up until Redis, which has told whose session it is, is away.
        let mut lock = held.begin().await?;
        lock_order(&mut lock, &id).await?;
        let crashed = crash_while(stack, &buyer, &id, async || {
            wait_for_lock(stack).await?;
            redis.signal(Signal::SIGSTOP)?;
            lock.rollback().await?;
            wait_in_mysql(stack, &id, "CANCELLED").await
        })
        .await;
        redis.signal(Signal::SIGCONT)?;
        crashed?;
        finish(stack, &buyer, "RETURN", &id).await?;
    }

    let provider = stack.payment.server();
    let id = bought(&buyer, "REFUND", GOOD_CARD).await?;
    provider.signal(Signal::SIGSTOP)?;
    let crashed = crash_while(stack, &buyer, &id, async || {
        wait::until_async("the units to be back", PATIENCE, || async {
            Ok((returns(stack, &id).await? == (1, 1)).then_some(()))
        })
        .await
    })
    .await;
    provider.signal(Signal::SIGCONT)?;
    crashed?;
    finish(stack, &buyer, "REFUND", &id).await?;

    let id = bought(&buyer, "WRITE", GOOD_CARD).await?;
    provider.signal(Signal::SIGSTOP)?;
    let mut lock = held.begin().await?;
    let crashed = crash_while(stack, &buyer, &id, async || {
        wait_in_mysql(stack, &id, "CANCELLED").await?;
        lock_order(&mut lock, &id).await?;
        provider.signal(Signal::SIGCONT)?;
        wait::until_async("the refund", PATIENCE, || async {
            Ok((refunds(stack, &id).await? == 1).then_some(()))
        })
        .await
    })
    .await;
    provider.signal(Signal::SIGCONT)?;
    lock.rollback().await?;
    crashed?;
    finish(stack, &buyer, "WRITE", &id).await
}

/// Cancels, kills the proxy once `held_up` says so, and leaves it dead.
async fn crash_while(
    stack: &Stack,
    buyer: &Shopper,
    order: &str,
    held_up: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let crash = async {
        let outcome = held_up().await;
        stack.proxy.server().kill()?;
        outcome
    };
    let (_cut_off, crashed) = join(cancel(buyer, order), crash).await;
    crashed
}

/// Starts the proxy again and waits until the order has come back, once.
async fn finish(stack: &Stack, buyer: &Shopper, sku: &str, order: &str) -> Result<()> {
    stack.proxy.start()?;
    wait_for_status(buyer, order, "REFUNDED").await?;
    audit(stack, sku, &[]).await?;
    ensure!(
        refunds(stack, order).await? == 1,
        "{sku}: not refunded once"
    );
    ensure!(
        returns(stack, order).await? == (1, 1),
        "{sku}: not returned once"
    );
    Ok(())
}

async fn lock_order(connection: &mut MySqlConnection, order: &str) -> Result<()> {
    let id: Uuid = order.parse()?;
    sqlx::query("SELECT id FROM orders WHERE id = ? FOR UPDATE")
        .bind(id.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Waits until a cancellation waits for its order's row, which is locked.
async fn wait_for_lock(stack: &Stack) -> Result<()> {
    wait::until_async("the cancellation to be held up", PATIENCE, || async {
        let sessions = sessions(&mut mysql(stack).await?).await?;
        let waits = sessions.iter().any(|session| {
            let statement = session.statement.as_deref().unwrap_or_default();
            statement.starts_with("SELECT status FROM orders ") && statement.ends_with("FOR UPDATE")
        });
        Ok(waits.then_some(()))
    })
    .await
}

async fn wait_in_mysql(stack: &Stack, order: &str, wanted: &str) -> Result<()> {
    let id: Uuid = order.parse()?;
    wait::until_async("the order's row", PATIENCE, || async {
        let status: String = sqlx::query_scalar("SELECT status FROM orders WHERE id = ?")
            .bind(id.as_bytes().as_slice())
            .fetch_one(&mut mysql(stack).await?)
            .await?;
        Ok((status == wanted).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_refund_that_is_refused_waits_for_a_person_and_for_nobody_else() -> Result<()> {
    let stack = STACK.lock().await;
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let id = bought(&buyer, "PARKED", NO_REFUND_CARD).await?;
    assert_eq!(cancel(&buyer, &id).await?.status, 200);
    wait_for_status(&buyer, &id, "PARKED").await?;
    let again = cancel(&buyer, &id).await?;
    assert_eq!((again.status, again.problem()), (409, "cannot-cancel"));
    let parked: Value = serde_json::from_str(&stack.proxy.run(&["orders", "parked", "--json"])?)?;
    assert_eq!(parked[0]["order_id"], json!(id), "{parked}");
    assert_eq!(parked[0]["reason"], "cancelled_by_shopper");
    assert!(
        stack
            .proxy
            .run(&["orders", "parked"])?
            .contains("refuses to give the money back")
    );
    wait::until_async("the gauge", PATIENCE, || async {
        let count = stack.proxy.metric("holdfast_orders_parked").await?;
        Ok((count == 1.0).then_some(()))
    })
    .await?;
    assert_eq!(returns(&stack, &id).await?, (1, 1), "its units are free");

    let other = bought(&buyer, "OTHER", GOOD_CARD).await?;
    assert_eq!(cancel(&buyer, &other).await?.status, 200);
    wait_for_status(&buyer, &other, "REFUNDED").await?;
    audit(&stack, "OTHER", &[]).await?;

    // The provider still refuses.
    stack.proxy.run(&["orders", "retry", &id])?;
    wait_for_status(&buyer, &id, "PARKED").await?;
    // A provider that was started again knows of no payment, so that nothing is left to give back.
    stack.payment.server().stop()?;
    stack.payment.start_again()?;
    stack.proxy.run(&["orders", "retry", "--all"])?;
    audit(&stack, "PARKED", &[]).await?;
    assert_eq!(status(&buyer, &id).await?, "CANCELLED");
    let unknown = stack.proxy.run(&["orders", "retry", &id]);
    assert!(unknown.is_err_and(|error| error.to_string().contains("is not parked")));
    Ok(())
}
