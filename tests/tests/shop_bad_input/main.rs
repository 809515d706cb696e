//! Bad input over HTTP, byte for byte: each gets its clear 4xx, and nothing changes in MySQL or Redis.

mod cases;
mod catalogue;
mod wire;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use holdfast_tests::shop::Shop;
use holdfast_tests::stack::{Stack, StackOptions};
use redis::Value as Reply;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tokio::sync::Mutex;

use cases::{JSON, bad, operators, order, orders, others};
use wire::{check, connect, exchange};

static STACK: LazyLock<Stack> = LazyLock::new(|| {
    Stack::start(StackOptions {
        kafka: false,
        // So that a body that never ends is given up within the test's patience.
        environment: vec![("HOLDFAST_HTTP__BODY_TIMEOUT_MS".into(), "2000".into())],
        ..StackOptions::default()
    })
    .expect("a shop")
});

const RECONCILERS_MARKER: &str = "inv:{rebuilt}:marker";

/// The tests look at the whole shop, so one must not see what another does.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn every_bad_request_gets_its_4xx_and_changes_nothing() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let token = session_token().await?;
    let before = world().await?;
    let operator = STACK.proxy.operator_token();
    let shoppers = orders()
        .into_iter()
        .chain(others())
        .chain(catalogue::shoppers())
        .map(|bad| (bad, token.as_str()));
    let mut wrong = Vec::new();
    let operators = operators().into_iter().chain(catalogue::admins());
    for (bad, token) in shoppers.chain(operators.map(|bad| (bad, operator))) {
        let head = format!("{}authorization: Bearer {token}\r\n\r\n", bad.head);
        let answer = exchange(&STACK.proxy.url(), &[head.as_bytes(), &bad.body].concat())
            .context(bad.what)?;
        if let Err(error) = check(&answer, bad.status, bad.problem) {
            wrong.push(format!("{}: {error:#}", bad.what));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world().await?, before);

    // The control: a good order is seen to change what was looked at.
    let good = order(r#"{"sku":"TEA-CADDY","quantity":1}"#);
    let good = bad("a good order", "POST /v1/orders", good, 201, "");
    let head = format!("{}authorization: Bearer {token}\r\n\r\n", good.head);
    let answer = exchange(&STACK.proxy.url(), &[head.as_bytes(), &good.body].concat())?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let changed = world()
        .await?
        .iter()
        .filter(|line| !before.contains(line))
        .count();
    assert!(
        changed >= 7,
        "six tables, a product and a ledger should have changed: {changed}"
    );
    Ok(())
}

#[tokio::test]
async fn a_body_of_10_mb_is_refused_however_it_is_sent() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let token = session_token().await?;
    let before = world().await?;
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{JSON}\r\nauthorization: Bearer {token}\r\n"
    );
    // Announced: refused before it is sent.
    let announced = format!("{head}content-length: 10485760\r\n\r\n");
    check(
        &exchange(&STACK.proxy.url(), announced.as_bytes())?,
        413,
        "body-too-large",
    )?;
    // In chunks, its length unknown: refused when it has grown too long.
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..160 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 65_536));
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    check(
        &exchange(&STACK.proxy.url(), &chunked)?,
        413,
        "body-too-large",
    )?;
    assert_eq!(world().await?, before);
    Ok(())
}

#[tokio::test]
async fn half_a_request_is_answered_or_given_up_and_changes_nothing() -> Result<()> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let token = session_token().await?;
    let before = world().await?;
    let body = order(r#"{"sku":"TEA-CADDY","quantity":1}"#);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{JSON}\r\n\
         authorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let half = [head.as_bytes(), &body.as_bytes()[..20]].concat();

    // The client waits in the middle of the body: the deadline of bodies ends it.
    check(&exchange(&STACK.proxy.url(), &half)?, 408, "timeout")?;
    // The client goes away in the middle of the body, or of the head.
    for part in [half.as_slice(), &head.as_bytes()[..40]] {
        let mut stream = connect(&STACK.proxy.url())?;
        stream.write_all(part)?;
        stream.shutdown(Shutdown::Both)?;
    }
    // The client is done writing in the middle of the head: nothing is answered, or that it was no request.
    let mut stream = connect(&STACK.proxy.url())?;
    stream.write_all(&head.as_bytes()[..40])?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    // What is no HTTP at all.
    let answer = exchange(
        &STACK.proxy.url(),
        b"\x16\x03\x01\x02\x00 this is not http\r\n\r\n",
    )?;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );

    assert_eq!(world().await?, before);
    Ok(())
}

async fn session_token() -> Result<String> {
    let guest = Shop::of(&STACK.proxy).guest().await?;
    Ok(guest.session()["token"]
        .as_str()
        .context("no token")?
        .to_owned())
}

/// All that a request could have changed: every table that orders and stock are in, and in Redis every key with, for
/// stock and carts, what it holds. Sessions come and go with the tests beside, products are kept for who looked at them,
/// and the reconciler changes its marker when its first walk ends, so they are left out.
async fn world() -> Result<Vec<String>> {
    let mut world = Vec::new();
    let mut mysql = MySqlConnection::connect(&STACK.database_url()).await?;
    for table in [
        "orders",
        "order_lines",
        "hold_outcomes",
        "inventory_logs",
        "outbox",
        "idempotency_keys",
    ] {
        let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut mysql).await?;
        world.push(format!("{table}: {count} rows"));
    }
    let products =
        "SELECT CONCAT(sku, ' ', stock, ' ', version, ' ', revision) FROM products ORDER BY sku";
    world.extend(
        sqlx::query_scalar::<_, String>(products)
            .fetch_all(&mut mysql)
            .await?,
    );
    let mut redis = STACK.redis.connection()?;
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis)?;
    let passing = |key: &str| key.starts_with("session:") || key.starts_with("product:");
    keys.retain(|key| !passing(key) && key != RECONCILERS_MARKER);
    keys.sort();
    for key in keys {
        let command = if key.starts_with("inv:") {
            "INV.GET"
        } else {
            "TYPE"
        };
        let value: Reply = redis::cmd(command).arg(&key).query(&mut redis)?;
        world.push(format!("{key}: {value:?}"));
    }
    Ok(world)
}
