//! Servers die in the middle of a sale: what was answered 201 is sold all the same, and nothing is left half done.
//!
//! The tests take turns on one stack, because each of them takes a part of it away.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::{join, try_join_all};
use holdfast_tests::books::{self, Expected};
use holdfast_tests::shop::{GOOD_CARD, SLOW_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of, environment_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{Connection, MySql, MySqlConnection, QueryBuilder};
use tokio::sync::Mutex;
use uuid::Uuid;

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

const PATIENCE: Duration = Duration::from_secs(20);
const BUYERS: usize = 6;
/// Orders that are left at once: several of recovery's batches.
const LEFT: usize = 1_000;
/// More than a rush sells.
const PLENTY: i64 = 100_000;

/// Each test has a product of its own; leases and holds are short, so that nobody waits long for what was left.
fn start() -> Result<Stack> {
    let products = [
        "KILLED",
        "TAKEN-OVER",
        "FORGOTTEN",
        "HUNG",
        "RESTARTED",
        "DRAINED",
        "LEFT",
        "LEASED",
    ];
    let settings = [
        ("HOLDFAST_RECOVERY__INTERVAL_MS", "200"),
        ("HOLDFAST_RECOVERY__LEASE_MS", "4000"),
        ("HOLDFAST_HOLDS__TTL_MS", "3000"),
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        environment: environment_of(&settings),
        ..StackOptions::default()
    })
}

/// Buys one unit with the card that takes 2 s, and calls `act` with the order's id as soon as the provider has been
/// asked for the money. Gives the order's id and the status of the answer, if there was one.
async fn while_paying(
    stack: &Stack,
    sku: &str,
    act: impl AsyncFnOnce() -> Result<()>,
) -> Result<(String, Option<u16>)> {
    let buyer = Shop::of(&stack.proxy).guest().await?;
    let known: BTreeSet<String> = stack.payment.all().await?.into_keys().collect();
    let disturbance = async {
        let id = wait::until_async("a payment to begin", PATIENCE, || async {
            let payments = stack.payment.all().await?;
            Ok(payments.into_keys().find(|id| !known.contains(id)))
        })
        .await?;
        act().await?;
        anyhow::Ok(id)
    };
    let (answer, id) = join(buyer.buy(sku, 1, SLOW_CARD), disturbance).await;
    Ok((id?, answer.ok().map(|reply| reply.status)))
}

/// Sold once, whoever was told: one order CONFIRMED, paid, told to Redis, its events complete and in order.
async fn audit_one_sale(stack: &Stack, sku: &str, id: String) -> Result<()> {
    let expected = Expected {
        stocked: 10,
        sold: [id].into(),
        ..Expected::default()
    };
    books::audit(stack, sku, &expected).await.map(drop)
}

/// Several buyers, each buying one unit after the other.
struct Rush<'a> {
    sku: &'a str,
    sold: AtomicUsize,
    is_over: AtomicBool,
}

impl Rush<'_> {
    /// Buys until the rush is over, and keeps account of the answers.
    async fn buy(&self, buyer: Shopper) -> Result<Expected> {
        let mut expected = Expected::default();
        while !self.is_over.load(Ordering::Relaxed) {
            match buyer.buy(self.sku, 1, GOOD_CARD).await {
                Ok(reply) if reply.status == 201 => {
                    expected.sold.insert(reply.id()?.to_owned());
                    self.sold.fetch_add(1, Ordering::Relaxed);
                }
                // Not known, or not now: what a client of a shop in trouble is told.
                Ok(reply) => {
                    ensure!(
                        matches!(reply.status, 202 | 408 | 503 | 504),
                        "an odd answer: {reply:?}"
                    );
                    expected.unanswered += 1;
                }
                Err(_) => expected.unanswered += 1,
            }
        }
        Ok(expected)
    }

    /// Waits until twenty more are sold.
    async fn goes_on(&self) -> Result<()> {
        let enough = self.sold.load(Ordering::Relaxed) + 20;
        wait::until_async("the shop to sell", PATIENCE, || async {
            Ok((self.sold.load(Ordering::Relaxed) >= enough).then_some(()))
        })
        .await
    }

    /// Lets `disturb` happen in the middle of the rush, and audits: each 201 is a sale for good, and nothing is half
    /// done.
    async fn audit(
        stack: &Stack,
        sku: &str,
        disturb: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<()> {
        let shop = Shop::of(&stack.proxy);
        shop.set_stock(sku, PLENTY).await?;
        let buyers = try_join_all((0..BUYERS).map(|_| shop.guest())).await?;
        let (sold, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let rush = Rush { sku, sold, is_over };
        let disturbance = async {
            let outcome = async {
                rush.goes_on().await?;
                disturb().await?;
                rush.goes_on().await
            }
            .await;
            rush.is_over.store(true, Ordering::Relaxed);
            outcome
        };
        let (parts, disturbed) = join(
            try_join_all(buyers.into_iter().map(|buyer| rush.buy(buyer))),
            disturbance,
        )
        .await;
        disturbed?;
        let mut expected = Expected {
            stocked: PLENTY,
            ..Expected::default()
        };
        for part in parts? {
            expected.sold.extend(part.sold);
            expected.unanswered += part.unanswered;
        }
        books::audit(stack, sku, &expected).await.map(drop)
    }
}

#[tokio::test]
async fn an_order_goes_on_after_the_proxy_was_killed() -> Result<()> {
    let stack = STACK.lock().await;
    let killed = while_paying(&stack, "KILLED", async || stack.proxy.server().kill()).await;
    stack.proxy.start()?;
    let (id, status) = killed?;
    assert_eq!(status, None, "nobody was there to answer");
    audit_one_sale(&stack, "KILLED", id).await
}

#[tokio::test]
async fn another_proxy_finishes_what_a_killed_one_began() -> Result<()> {
    let stack = STACK.lock().await;
    let another = stack.another_proxy()?;
    let killed = while_paying(&stack, "TAKEN-OVER", async || stack.proxy.server().kill()).await;
    let audited = match killed {
        Ok((id, _)) => audit_one_sale(&stack, "TAKEN-OVER", id).await,
        Err(error) => Err(error),
    };
    another.server().stop()?;
    stack.proxy.start()?;
    audited
}

#[tokio::test]
async fn a_sale_that_redis_missed_is_told_when_it_is_back() -> Result<()> {
    let stack = STACK.lock().await;
    let Ok(redis) = stack.redis.server() else {
        return Ok(());
    };
    let sold = while_paying(&stack, "FORGOTTEN", async || redis.kill()).await;
    stack.redis.start_again()?;
    let (id, status) = sold?;
    assert_eq!(status, Some(201), "MySQL has committed it");
    audit_one_sale(&stack, "FORGOTTEN", id).await
}

#[tokio::test]
async fn a_rush_outlives_a_redis_that_hangs() -> Result<()> {
    let stack = STACK.lock().await;
    let Ok(redis) = stack.redis.server() else {
        return Ok(());
    };
    Rush::audit(&stack, "HUNG", async || {
        redis.signal(Signal::SIGSTOP)?;
        let noticed = wait::until_async("the proxy to miss Redis", PATIENCE, || async {
            let is_away = stack.proxy.metric("holdfast_redis_breaker_open").await? == 1.0;
            Ok((is_away && ready(&stack).await? == 200).then_some(()))
        });
        let noticed = noticed.await;
        redis.signal(Signal::SIGCONT)?;
        noticed
    })
    .await
}

#[tokio::test]
async fn a_rush_outlives_a_database_that_is_killed() -> Result<()> {
    let stack = STACK.lock().await;
    let Ok(mysql) = stack.mysql.server() else {
        return Ok(());
    };
    Rush::audit(&stack, "RESTARTED", async || {
        mysql.kill()?;
        stack.mysql.start_again()
    })
    .await
}

#[tokio::test]
async fn a_proxy_that_is_told_to_stop_finishes_what_it_began() -> Result<()> {
    let stack = STACK.lock().await;
    let proxy = &stack.proxy;
    let drained = while_paying(&stack, "DRAINED", async || {
        proxy.server().signal(Signal::SIGTERM)?;
        wait::until_async("the drain to show", PATIENCE, || async {
            Ok((ready(&stack).await? == 503).then_some(()))
        })
        .await?;
        let newcomer = reqwest::get(format!("{}/v1/products", proxy.url())).await;
        let refusal = newcomer.err().context("a new connection was served")?;
        ensure!(refusal.is_connect(), "an odd refusal: {refusal}");
        ensure!(
            proxy.server().is_running(),
            "the payment takes 2 s and is not waited for"
        );
        Ok(())
    })
    .await;
    let ended = proxy.server().wait_for_end(PATIENCE);
    proxy.start()?;
    ended?;
    let (id, status) = drained?;
    assert_eq!(status, Some(201));
    audit_one_sale(&stack, "DRAINED", id).await
}

/// Orders that nobody runs, written as a proxy would have that died right after.
async fn leave_orders(stack: &Stack, sku: &str, count: usize) -> Result<Vec<Uuid>> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    for ids in ids.chunks(1_000) {
        let mut orders = QueryBuilder::<MySql>::new(
            "INSERT INTO orders (id, user_id, status, total, currency, lease_until) ",
        );
        orders.push_values(ids, |mut row, id| {
            row.push_bind(*id)
                .push_bind(Uuid::nil())
                .push("'PENDING', 10, 'GBP', NOW(3)");
        });
        orders.build().execute(&mut mysql).await?;
        let mut lines =
            QueryBuilder::<MySql>::new("INSERT INTO order_lines (order_id, sku, quantity, price) ");
        lines.push_values(ids, |mut row, id| {
            row.push_bind(*id).push_bind(sku.to_owned()).push("1, 10");
        });
        lines.build().execute(&mut mysql).await?;
    }
    Ok(ids)
}

/// Waits until recovery has called off all that were left.
async fn undone(stack: &Stack, sku: &str) -> Result<()> {
    let query = "SELECT COUNT(*) FROM orders JOIN order_lines ON order_id = id \
                 WHERE sku = ? AND status = 'EXPIRED' AND reason = 'abandoned' AND settled = 1";
    wait::until_async("every order to be undone", 3 * PATIENCE, || async {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let counting = sqlx::query_scalar(query).bind(sku);
        let undone: i64 = counting.fetch_one(&mut mysql).await?;
        Ok((undone == LEFT as i64).then_some(()))
    })
    .await
}

#[tokio::test]
async fn many_orders_that_were_left_are_undone_and_one_that_cannot_be_read_stops_none() -> Result<()>
{
    let stack = STACK.lock().await;
    let unreadable = leave_orders(&stack, "no sku!", 1).await?;
    leave_orders(&stack, "LEFT", LEFT).await?;
    undone(&stack, "LEFT").await?;
    let parked: Value = serde_json::from_str(&stack.proxy.run(&["orders", "parked", "--json"])?)?;
    assert_eq!(parked[0]["order_id"], json!(unreadable[0]), "{parked}");
    let why = parked[0]["error"].as_str().unwrap_or_default();
    assert!(why.contains("no sku!"), "{why}");
    Ok(())
}

/// As many as it runs at once: the lease of an order that waits for its turn would run out.
#[tokio::test]
async fn recovery_leases_no_more_orders_than_it_runs() -> Result<()> {
    let stack = STACK.lock().await;
    stack.proxy.server().stop()?;
    stack.payment.server().signal(Signal::SIGSTOP)?;
    let leased = async {
        leave_orders(&stack, "LEASED", LEFT).await?;
        let only = stack.another_proxy_with(&[
            ("HOLDFAST_PAYMENT__TIMEOUT_MS", "60000"),
            ("HOLDFAST_RECOVERY__LEASE_MS", "1000"),
        ])?;
        // Those that run have their leases renewed again and again.
        let leased = wait::until_async("leases to be renewed", PATIENCE, || async {
            let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
            let (leased, is_renewed): (i64, bool) = sqlx::query_as(
                "SELECT CAST(SUM(attempts) AS SIGNED), \
                   MAX(lease_until) > MIN(o.created_at) + INTERVAL 6 SECOND \
                 FROM orders o JOIN order_lines ON order_id = id WHERE sku = 'LEASED'",
            )
            .fetch_one(&mut mysql)
            .await?;
            Ok(is_renewed.then_some(leased))
        })
        .await;
        only.server().kill()?;
        leased
    }
    .await;
    stack.payment.server().signal(Signal::SIGCONT)?;
    stack.proxy.start()?;
    assert_eq!(leased?, 256);
    undone(&stack, "LEASED").await
}

#[tokio::test]
async fn all_keys_that_have_expired_are_removed_in_one_look() -> Result<()> {
    let stack = STACK.lock().await;
    stack.proxy.server().stop()?;
    let removed = async {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let mut keys = QueryBuilder::<MySql>::new(
            "INSERT INTO idempotency_keys (scope, idempotency_key, request_hash, order_id, expires_at) ",
        );
        keys.push_values(0..LEFT, |mut row, at| {
            row.push_bind(Uuid::now_v7())
                .push_bind(format!("key-{at}"))
                .push("REPEAT('x', 32), REPEAT('x', 16), NOW(3)");
        });
        keys.build().execute(&mut mysql).await?;
        // It looks when it starts, and not again.
        let only = stack.another_proxy_with(&[("HOLDFAST_RECOVERY__INTERVAL_MS", "600000")])?;
        let removed = wait::until_async("the keys to be removed", PATIENCE, || async {
            let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
            let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM idempotency_keys WHERE expires_at <= NOW(3)")
                .fetch_one(&mut mysql)
                .await?;
            Ok((left == 0).then_some(()))
        })
        .await;
        only.server().stop()?;
        removed
    }
    .await;
    stack.proxy.start()?;
    removed
}

/// The status of /readyz.
async fn ready(stack: &Stack) -> Result<u16> {
    let reply = reqwest::get(format!("{}/readyz", stack.proxy.admin_url())).await?;
    Ok(reply.status().as_u16())
}
