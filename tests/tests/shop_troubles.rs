//! Troubles that kill nobody: shoppers who hang up, a pool without connections, a proxy that stands still. And one that
//! is killed in the middle, whose orders another finishes. Every test ends in `holdfast audit`.
//!
//! The tests take turns on one stack, because each of them takes a part of it away.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use holdfast_tests::faults::random::Random;
use holdfast_tests::faults::rest::{audit, settled, unsettled};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::{books, wait};
use nix::sys::signal::Signal;
use sqlx::{Connection, MySqlConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

static STACK: LazyLock<Mutex<Stack>> = LazyLock::new(|| Mutex::new(start().expect("a shop")));

/// What is promised of the orders of a killed proxy, on a machine that has nothing else to do.
const FINISHED_WITHIN: Duration = Duration::from_secs(10);
/// What a machine that runs other tests beside may take longer.
const SLACK: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const PLENTY: i64 = 10_000;

fn start() -> Result<Stack> {
    let products = ["HUNG-UP", "CROWDED", "STOPPED", "KILLED", "DOCTORED"];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        ..StackOptions::default()
    })
}

/// A purchase that is asked for again until its outcome is known.
struct Purchase {
    shopper: Shopper,
    sku: &'static str,
    card: &'static str,
    key: String,
}

impl Purchase {
    async fn new(stack: &Stack, sku: &'static str, card: &'static str) -> Result<Purchase> {
        Ok(Purchase {
            shopper: Shop::of(&stack.proxy).guest().await?,
            sku,
            card,
            key: Uuid::new_v4().to_string(),
        })
    }

    /// So many, which pay with the slow card every third time.
    async fn many(stack: &Stack, sku: &'static str, number: usize) -> Result<Vec<Purchase>> {
        Shop::of(&stack.proxy).set_stock(sku, PLENTY).await?;
        let card = |number| {
            if number % 3 == 0 {
                SLOW_CARD
            } else {
                GOOD_CARD
            }
        };
        try_join_all((0..number).map(|number| Purchase::new(stack, sku, card(number)))).await
    }

    async fn attempt_at(&self, proxy: &Proxy) -> Result<Reply> {
        let (shopper, items) = (self.shopper.at(proxy), [(self.sku, 1)]);
        shopper.order(&items, self.card, Some(&self.key)).await
    }

    /// The order's id, when it was sold in the end.
    async fn insist_at(&self, proxy: &Proxy) -> Result<String> {
        wait::until_async("an order to be sold", PATIENCE, || async {
            let reply = self.attempt_at(proxy).await?;
            match reply.status {
                201 => Ok(Some(reply.id()?.to_owned())),
                202 | 408 | 409 | 503 | 504 => Ok(None),
                _ => Err(anyhow::anyhow!("an odd answer: {reply:?}")),
            }
        })
        .await
    }
}

/// The ids of the orders of a SKU that are CONFIRMED.
async fn confirmed(stack: &Stack, sku: &str) -> Result<BTreeSet<String>> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM orders JOIN order_lines ON order_id = id WHERE sku = ? AND status = 'CONFIRMED'",
    )
    .bind(sku)
    .fetch_all(&mut mysql)
    .await?;
    Ok(ids.iter().map(Uuid::to_string).collect())
}

/// Every purchase is one order, whoever asked for it how often; and the audit has nothing to say.
async fn each_was_sold_once(stack: &Stack, proxy: &Proxy, purchases: &[Purchase]) -> Result<()> {
    let sku = purchases.first().context("no purchases")?.sku;
    let ids = try_join_all(purchases.iter().map(|purchase| purchase.insist_at(proxy))).await?;
    let ids: BTreeSet<String> = ids.into_iter().collect();
    assert_eq!(ids.len(), purchases.len());
    assert_eq!(confirmed(stack, sku).await?, ids);
    audit(stack, None).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shopper_who_hangs_up_buys_once_or_not_at_all() -> Result<()> {
    let stack = STACK.lock().await;
    let mut random = Random::new(11);
    let purchases = Purchase::many(&stack, "HUNG-UP", 60).await?;
    let dropped = purchases.iter().map(|purchase| {
        let instant = random.time(Duration::ZERO, Duration::from_millis(120));
        // Dropping the request closes its connection.
        tokio::time::timeout(instant, purchase.attempt_at(&stack.proxy))
    });
    let heard = join_all(dropped).await;
    let hung_up = heard.iter().filter(|heard| heard.is_err()).count();
    ensure!(hung_up > 0, "every shopper had the patience to wait");
    each_was_sold_once(&stack, &stack.proxy, &purchases).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_connections_sheds_and_does_nothing_by_halves() -> Result<()> {
    let stack = STACK.lock().await;
    let settings = [
        ("HOLDFAST_MYSQL__MAX_CONNECTIONS", "4"),
        ("HOLDFAST_MYSQL__ACQUIRE_TIMEOUT_MS", "300"),
    ];
    let poor = stack.another_proxy_with(&settings)?;
    let purchases = Purchase::many(&stack, "CROWDED", 60).await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let mut lock = mysql.begin().await?;
    // Every sale must deduct from this row, and every order of the crowd is written to that table.
    sqlx::query("SELECT stock FROM products WHERE sku = 'CROWDED' FOR UPDATE")
        .fetch_one(&mut *lock)
        .await?;
    let crowd = purchases.iter().map(|purchase| purchase.attempt_at(&poor));
    let look = wait::until_async("a request to be shed", PATIENCE, || async {
        let reply = purchases[0].shopper.at(&poor).get("/v1/orders").await?;
        Ok((reply.status == 503).then_some(reply))
    });
    let (answers, shed) = futures::join!(join_all(crowd), async {
        let shed = look.await;
        lock.rollback().await?;
        shed
    });
    let shed = shed?;
    ensure!(shed.headers.contains_key("retry-after"), "{shed:?}");
    for answer in answers {
        let answer = answer?;
        ensure!(
            matches!(answer.status, 201 | 202 | 409 | 503 | 504),
            "an odd answer: {answer:?}"
        );
        ensure!(
            answer.status != 409 || answer.problem() == "request-in-flight",
            "{answer:?}"
        );
    }
    each_was_sold_once(&stack, &poor, &purchases).await?;
    poor.server().stop()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_stood_still_finds_its_orders_finished() -> Result<()> {
    let stack = STACK.lock().await;
    let other = stack.another_proxy()?;
    let purchases = Purchase::many(&stack, "STOPPED", 24).await?;
    let crowd = join_all(purchases.iter().map(|purchase| purchase.attempt_at(&other)));
    let disturbance = async {
        some_in_flight(&stack).await?;
        let stopped = Instant::now();
        other.server().signal(Signal::SIGSTOP)?;
        let left = unsettled(&stack).await?;
        let finished = settled(&stack, &left, stopped, FINISHED_WITHIN + SLACK).await;
        // Longer than its lease in any case; `make test-faults` asks for a minute.
        let asleep = std::env::var("HOLDFAST_STOPPED_MS").ok();
        let asleep = asleep.and_then(|text| text.parse().ok()).unwrap_or(8_000);
        let rest = Duration::from_millis(asleep).saturating_sub(stopped.elapsed());
        tokio::time::sleep(rest).await;
        other.server().signal(Signal::SIGCONT)?;
        eprintln!(
            "stopped for {:?}; {} orders in flight, finished by another after {:?}",
            stopped.elapsed(),
            left.len(),
            finished.as_ref().ok()
        );
        ensure!(!left.is_empty(), "nothing was in flight");
        finished
    };
    let (answers, finished) = futures::join!(crowd, disturbance);
    finished?;
    for answer in answers {
        let answer = answer?;
        ensure!(
            matches!(answer.status, 201 | 202 | 408 | 503 | 504),
            "an odd answer: {answer:?}"
        );
    }
    each_was_sold_once(&stack, &other, &purchases).await?;
    other.server().stop()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orders_of_a_killed_proxy_are_finished_by_another_within_ten_seconds() -> Result<()> {
    let stack = STACK.lock().await;
    let other = stack.another_proxy()?;
    let purchases = Purchase::many(&stack, "KILLED", 24).await?;
    let crowd = join_all(purchases.iter().map(|purchase| purchase.attempt_at(&other)));
    let disturbance = async {
        some_in_flight(&stack).await?;
        let killed = Instant::now();
        other.server().kill()?;
        let left = unsettled(&stack).await?;
        ensure!(!left.is_empty(), "nothing was in flight");
        let within = settled(&stack, &left, killed, FINISHED_WITHIN + SLACK).await?;
        eprintln!(
            "{} orders of the killed proxy, finished by another after {within:?}",
            left.len()
        );
        anyhow::Ok(())
    };
    let (_, finished) = futures::join!(crowd, disturbance);
    finished?;
    each_was_sold_once(&stack, &stack.proxy, &purchases).await
}

/// Waits until several orders are being worked on.
async fn some_in_flight(stack: &Stack) -> Result<()> {
    wait::until_async("orders in flight", PATIENCE, || async {
        Ok((unsettled(stack).await?.len() >= 4).then_some(()))
    })
    .await
}

/// The control: a shop that was tampered with from outside does not pass the audit that ends every test here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_sees_what_was_tampered_with() -> Result<()> {
    let stack = STACK.lock().await;
    let purchases = [Purchase::new(&stack, "DOCTORED", GOOD_CARD).await?];
    each_was_sold_once(&stack, &stack.proxy, &purchases).await?;
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let tampering = [
        (
            "UPDATE products SET stock = stock + 1 WHERE sku = 'DOCTORED'",
            "UPDATE products SET stock = stock - 1 WHERE sku = 'DOCTORED'",
        ),
        (
            "UPDATE orders SET status = 'CANCELLED' WHERE id IN (SELECT order_id FROM order_lines WHERE sku = 'DOCTORED')",
            "UPDATE orders SET status = 'CONFIRMED' WHERE id IN (SELECT order_id FROM order_lines WHERE sku = 'DOCTORED')",
        ),
        (
            "UPDATE hold_outcomes SET outcome = 'ABORTED' WHERE order_id IN (SELECT order_id FROM order_lines WHERE sku = 'DOCTORED')",
            "UPDATE hold_outcomes SET outcome = 'COMMITTED' WHERE order_id IN (SELECT order_id FROM order_lines WHERE sku = 'DOCTORED')",
        ),
    ];
    for (tamper, mend) in tampering {
        sqlx::query(tamper).execute(&mut mysql).await?;
        let seen = audit(&stack, None);
        sqlx::query(mend).execute(&mut mysql).await?;
        let error = seen
            .err()
            .with_context(|| format!("nobody saw: {tamper}"))?;
        ensure!(format!("{error:#}").contains("BROKEN"), "{error:#}");
        audit(&stack, None)?;
    }
    // An order that a client was told of and that nobody has.
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), format!("{}\n", Uuid::new_v4()))?;
    let seen = audit(&stack, Some(file.path()));
    let error = seen.err().context("nobody missed an acknowledged order")?;
    ensure!(format!("{error:#}").contains("BROKEN"), "{error:#}");
    let ledger = books::ledger(&stack, "DOCTORED")?;
    ensure!(ledger.sold == 1, "{ledger:?}");
    Ok(())
}
