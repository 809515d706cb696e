//! Idempotency-Key: a request that comes again buys once.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::books::{self, Books, Expected};
use holdfast_tests::shop::{GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use sqlx::{Connection, MySqlConnection};

/// Each test has a product of its own, ten units at 10.00.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["AGAIN", "CROWD", "RESTOCK", "AGED"])?),
        ..StackOptions::default()
    })
}

async fn guest() -> Result<Shopper> {
    Shop::of(&STACK.proxy).guest().await
}

/// Waits until everything agrees that these orders, and no others, were sold.
async fn audit(sku: &str, sold: &[&str]) -> Result<Books> {
    books::audit(&STACK, sku, &Expected::of(10, sold, 0)).await
}

fn is_replay(reply: &Reply) -> bool {
    let header = reply.headers.get("idempotency-replayed");
    header.is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_repeated_request_buys_once() -> Result<()> {
    let (buyer, other) = (guest().await?, guest().await?);
    let first = buyer.order(&[("AGAIN", 1)], GOOD_CARD, Some("a")).await?;
    let again = buyer.order(&[("AGAIN", 1)], GOOD_CARD, Some("a")).await?;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert!(!is_replay(&first) && is_replay(&again), "{again:?}");
    for changed in [
        buyer.order(&[("AGAIN", 2)], GOOD_CARD, Some("a")).await?,
        buyer.order(&[("AGAIN", 1)], SLOW_CARD, Some("a")).await?,
    ] {
        assert_eq!((changed.status, changed.problem()), (422, "mismatch"));
    }
    // A key is its owner's alone.
    let others = other.order(&[("AGAIN", 1)], GOOD_CARD, Some("a")).await?;
    assert_eq!(others.status, 201);
    audit("AGAIN", &[first.id()?, others.id()?]).await?;
    Ok(())
}

#[tokio::test]
async fn ten_requests_at_once_under_one_key_are_one_order() -> Result<()> {
    let buyer = guest().await?;
    let attempts = (0..10).map(|_| buyer.order(&[("CROWD", 1)], GOOD_CARD, Some("one")));
    let replies = try_join_all(attempts).await?;
    let orders = buyer.orders().await?;
    assert_eq!(orders.len(), 1, "{orders:?}");
    let id = orders[0]["order_id"].as_str().context("an id")?;
    for reply in &replies {
        match reply.status {
            201 => assert_eq!(reply.id()?, id),
            _ => assert_eq!(
                (reply.status, reply.problem()),
                (409, "request-in-flight"),
                "{reply:?}"
            ),
        }
    }
    assert!(
        replies.iter().any(|reply| reply.status == 201),
        "{replies:?}"
    );
    audit("CROWD", &[id]).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_led_to_nothing_may_be_tried_again() -> Result<()> {
    let buyer = guest().await?;
    let attempt = || buyer.order(&[("RESTOCK", 12)], GOOD_CARD, Some("twelve"));
    assert_eq!(attempt().await?.problem(), "out-of-stock");
    Shop::of(&STACK.proxy).set_stock("RESTOCK", 12).await?;
    let sold = attempt().await?;
    assert_eq!((sold.status, is_replay(&sold)), (201, false), "{sold:?}");
    let expected = Expected::of(12, &[sold.id()?], 1);
    books::audit(&STACK, "RESTOCK", &expected).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_whose_day_is_over_buys_anew() -> Result<()> {
    let buyer = guest().await?;
    let first = buyer
        .order(&[("AGED", 1)], GOOD_CARD, Some("daily"))
        .await?;
    let mut mysql = MySqlConnection::connect(&STACK.database_url()).await?;
    let yesterday = "UPDATE idempotency_keys SET expires_at = NOW(3) - INTERVAL 1 SECOND WHERE idempotency_key = 'daily'";
    sqlx::query(yesterday).execute(&mut mysql).await?;
    let second = buyer
        .order(&[("AGED", 1)], GOOD_CARD, Some("daily"))
        .await?;
    assert_eq!(
        (second.status, is_replay(&second)),
        (201, false),
        "{second:?}"
    );
    audit("AGED", &[first.id()?, second.id()?]).await?;
    Ok(())
}
