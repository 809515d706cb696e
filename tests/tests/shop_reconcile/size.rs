//! A large shop: what it costs to compare follows the page and not all the orders there ever were, and the shop sells
//! meanwhile.
//!
//! Small, unless `HOLDFAST_SIZE_PRODUCTS`, `HOLDFAST_SIZE_ORDERS` and `HOLDFAST_SIZE_HOLDS` say otherwise. With
//! `--nocapture` it prints what docs/operations.md tells.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use futures::future::join;
use holdfast_tests::proxy::binary;
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions};
use holdfast_tests::wait;
use redis::pipe;
use serde_json::Value;
use sqlx::{Connection, MySqlConnection};
use uuid::Uuid;

use super::buyers::Market;
use super::command::{is_filled, key, quiet, tell};

const PATIENCE: Duration = Duration::from_secs(900);
/// More than what a page needs, and far less than a million orders do.
const MEMORY_MIB: u64 = 160;
/// Of so many orders one is in flight.
const IN_FLIGHT: u64 = 100;

/// Both servers can multiply digits, and only one has sequences.
const NUMBERS: [&str; 2] = [
    "CREATE TABLE digits (d BIGINT) AS SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 \
     UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9",
    "CREATE TABLE numbers (n BIGINT PRIMARY KEY) AS \
     SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d AS n \
     FROM digits a, digits b, digits c, digits e, digits f, digits g WHERE g.d < 10",
];

#[derive(Debug, Clone, Copy)]
struct Size {
    products: u64,
    orders: u64,
    /// Live holds of the first product.
    holds: u64,
    /// Keys of which Redis has lost something.
    damaged: u64,
}

/// What a stage came to.
struct Seen {
    sums: Value,
    peak_mib: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_shop_is_compared_and_filled_with_the_memory_of_a_page_while_it_sells() -> Result<()>
{
    let size = Size::asked()?;
    let mut environment = quiet();
    environment.push(("HOLDFAST_RECOVERY__LEASE_MS".into(), "5000".into()));
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: None,
        environment,
        ..StackOptions::default()
    })?;
    is_filled(&stack, PATIENCE)?;
    fill(&stack, size).await?;

    let sums = |seen: Seen, wrong: u64, fixed: u64| {
        let (sums, peak_mib) = (seen.sums, seen.peak_mib);
        ensure!(
            sums["compared"] == size.products && sums["moving"] == 0,
            "{sums}"
        );
        ensure!(sums["wrong"] == wrong && sums["fixed"] == fixed, "{sums}");
        ensure!(peak_mib < MEMORY_MIB, "it took {peak_mib} MiB");
        anyhow::Ok(())
    };
    // What buyers came for was made anew before.
    let filled = compare(&stack, size, "Redis is empty", &["--fix"]).await?;
    let wrong = filled.sums["wrong"].as_u64().unwrap_or_default();
    sums(filled, wrong, wrong)?;
    hold_many(&stack, size.holds)?;
    let right = compare(&stack, size, "nothing is wrong", &[]).await?;
    sums(right, 0, 0)?;
    damage(&stack, size)?;
    let told = compare(&stack, size, "some keys are wrong", &[]).await?;
    sums(told, size.damaged, 0)?;
    let fixed = compare(&stack, size, "some keys are wrong", &["--fix"]).await?;
    sums(fixed, size.damaged, size.damaged)?;

    let pid = stack.proxy.server().pid()?;
    let before = peak_mib(pid);
    let emptied = while_selling(&stack, size, "after FLUSHALL, by the proxy", || {
        tell::<()>(&stack, &["FLUSHALL"])?;
        is_filled(&stack, PATIENCE)
    });
    emptied.await?;
    println!(
        "the proxy had {before} MiB at most before, {} after",
        peak_mib(pid)
    );
    let rest = compare(&stack, size, "all was made anew", &[]).await?;
    sums(rest, 0, 0)
}

impl Size {
    fn asked() -> Result<Size> {
        let number = |name: &str, small: u64| match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
            Err(_) => Ok(small),
        };
        let products = number("HOLDFAST_SIZE_PRODUCTS", 1_200)?;
        Ok(Size {
            products,
            orders: number("HOLDFAST_SIZE_ORDERS", 12_000)?,
            holds: number("HOLDFAST_SIZE_HOLDS", 1_000)?,
            damaged: (products / 10).min(500),
        })
    }
}

/// Orders of one unit each, sold and settled but for those in flight. Those are nobody's to go on with.
async fn fill(stack: &Stack, size: Size) -> Result<()> {
    let Size {
        products, orders, ..
    } = size;
    let (order, sku) = (
        "UNHEX(LPAD(HEX(n), 32, '0'))",
        format!("CONCAT('SKU-', LPAD(n % {products}, 6, '0'))"),
    );
    let statements = NUMBERS.map(str::to_owned).into_iter().chain([
        format!(
            "INSERT INTO products (sku, name, description, price, currency, stock) \
             SELECT {sku}, 'Thing', '', 10, 'GBP', IF(n = 0, 1000000, 90) FROM numbers WHERE n < {products}"
        ),
        format!(
            "INSERT INTO orders (id, user_id, status, total, currency, lease_until, settled) \
             SELECT {order}, UNHEX(REPEAT('0', 32)), 'CONFIRMED', 10, 'GBP', '2999-01-01', n % {IN_FLIGHT} > 0 \
             FROM numbers WHERE n < {orders}"
        ),
        format!(
            "INSERT INTO order_lines (order_id, sku, quantity, price) \
             SELECT {order}, {sku}, 1, 10 FROM numbers WHERE n < {orders}"
        ),
        format!(
            "INSERT INTO hold_outcomes (order_id, outcome) \
             SELECT {order}, 'COMMITTED' FROM numbers WHERE n < {orders}"
        ),
        format!(
            "INSERT INTO inventory_logs (sku, delta, stock_after, reason, order_id, acknowledged_at) \
             SELECT {sku}, -1, 90, 'sold', {order}, NOW(3) FROM numbers WHERE n < {orders}"
        ),
    ]);
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut mysql)
            .await?;
    }
    Ok(())
}

/// Checkout holds that run for an hour.
fn hold_many(stack: &Stack, holds: u64) -> Result<()> {
    let mut connection = stack.redis.connection()?;
    for first in (0..holds).step_by(1_000) {
        let mut reserves = pipe();
        for _ in first..holds.min(first + 1_000) {
            let hold = Uuid::now_v7().to_string();
            let reserve = reserves.cmd("INV.RESERVE").arg(key(&sku(0))).arg(hold);
            reserve.arg(1).arg("PX").arg(3_600_000).ignore();
        }
        reserves.query::<()>(&mut connection)?;
    }
    Ok(())
}

fn damage(stack: &Stack, size: Size) -> Result<()> {
    let apart = size.products / size.damaged;
    let mut connection = stack.redis.connection()?;
    let mut changes = pipe();
    for number in 0..size.damaged {
        // Even ones, which nobody buys, and not the first.
        let key = key(&sku((number * apart + 2) & !1));
        match number % 3 {
            0 => changes.cmd("INV.ADJUST").arg(key).arg(3).ignore(),
            1 => changes.cmd("INV.ADJUST").arg(key).arg(-2).ignore(),
            _ => changes.cmd("DEL").arg(key).ignore(),
        };
    }
    Ok(changes.query::<()>(&mut connection)?)
}

fn sku(number: u64) -> String {
    format!("SKU-{number:06}")
}

/// Runs the command while somebody buys.
async fn compare(stack: &Stack, size: Size, what: &str, arguments: &[&str]) -> Result<Seen> {
    let what = format!("`reconcile {}` when {what}", arguments.join(" "));
    let seen = while_selling(stack, size, &what, || {
        let mut told = tempfile::tempfile()?;
        let mut child = Command::new(binary()?)
            .arg("--config")
            .arg(stack.proxy.config_path())
            .args(["reconcile", "--json"])
            .args(arguments)
            .env("HOLDFAST_LOG__FILTER", "error")
            .stdout(Stdio::from(told.try_clone()?))
            .spawn()?;
        let mut peak = 0;
        wait::until(&what, PATIENCE, || {
            peak = peak.max(peak_mib(child.id()));
            Ok(child.try_wait()?)
        })?;
        let mut text = String::new();
        told.rewind()?;
        told.read_to_string(&mut text)?;
        let sums = text.lines().last().context("it said nothing")?;
        Ok(Seen {
            sums: serde_json::from_str(sums)?,
            peak_mib: peak,
        })
    })
    .await?;
    println!("  it had {} MiB at most", seen.peak_mib);
    Ok(seen)
}

/// Does something while two buyers buy all over the shop; tells how long it took, and how long they waited.
async fn while_selling<T: Send>(
    stack: &Stack,
    size: Size,
    what: &str,
    act: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let market = Market::open(Shop::of(&stack.proxy));
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| {
            let started = Instant::now();
            let done = act();
            market.is_over.store(true, Ordering::Relaxed);
            done.map(|done| (done, started.elapsed()))
        });
        let runtime = tokio::runtime::Handle::current();
        let bought = tokio::task::block_in_place(|| {
            let buyers = join(market.buy(odd(size, 1)), market.buy(odd(size, 7)));
            runtime.block_on(buyers)
        });
        let acted = acting.join();
        let (done, took) = acted.map_err(|_| anyhow!("a thread panicked"))??;
        let (one, other) = (bought.0?, bought.1?);
        let sold = market.sold.load(Ordering::Relaxed);
        let unanswered = one.unanswered + other.unanswered;
        let longest = one.longest.max(other.longest);
        println!(
            "{what}: {took:.1?}; {sold} sold meanwhile, {unanswered} told to come again, \
             the longest wait {longest:.0?}"
        );
        Ok(done)
    })
}

/// SKUs that are not damaged, one after the other, all over the shop.
fn odd(size: Size, mut number: u64) -> impl FnMut() -> String {
    move || {
        number = ((number + 2 * 3_917) % size.products) | 1;
        sku(number)
    }
}

/// The most memory that a process has had.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}
