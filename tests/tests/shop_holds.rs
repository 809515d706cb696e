//! Holding at checkout and paying later.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::books::{self, Expected};
use holdfast_tests::shop::{
    DECLINED_CARD, FAILING_CARD, GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper, lines, send,
};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

/// Each test has products of its own, ten units each at 10.00.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));

const PATIENCE: Duration = Duration::from_secs(10);

fn start() -> Result<Stack> {
    let products = [
        "KEEP-1",
        "KEEP-2",
        "SHORT",
        "EXPIRES",
        "LATE",
        "PAID",
        "TWICE",
        "DECLINED",
        "FAILING",
        "RANGE",
        "SLOW",
        "RELEASED",
        "CANCELLED",
    ];
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&products)?),
        ..StackOptions::default()
    })
}

async fn guest() -> Result<Shopper> {
    Shop::of(&STACK.proxy).guest().await
}

async fn hold(shopper: &Shopper, items: &[(&str, i64)], ttl_ms: u64) -> Result<Reply> {
    let body = json!({ "items": lines(items), "ttl_ms": ttl_ms });
    shopper.call(Method::POST, "/v1/holds", &body).await
}

async fn confirm(shopper: &Shopper, hold: &str, card: &str) -> Result<Reply> {
    let body = json!({ "payment": { "card": card } });
    let path = format!("/v1/holds/{hold}/confirm");
    shopper.call(Method::POST, &path, &body).await
}

async fn extend(shopper: &Shopper, hold: &str, ttl_ms: u64) -> Result<Reply> {
    let body = json!({ "ttl_ms": ttl_ms });
    shopper
        .call(Method::PATCH, &format!("/v1/holds/{hold}"), &body)
        .await
}

async fn release(shopper: &Shopper, hold: &str) -> Result<Reply> {
    send(shopper.request(Method::DELETE, &format!("/v1/holds/{hold}"))).await
}

async fn look(shopper: &Shopper, hold: &str) -> Result<Reply> {
    shopper.get(&format!("/v1/holds/{hold}")).await
}

async fn available(sku: &str) -> Result<i64> {
    let stock = Shop::of(&STACK.proxy).stock(sku).await?;
    stock["available"].as_i64().context("a count")
}

/// Waits until everything agrees that these orders, and no others, were sold.
async fn audit(sku: &str, sold: &[&str], refused: usize) -> Result<()> {
    books::audit(&STACK, sku, &Expected::of(10, sold, refused))
        .await
        .map(drop)
}

#[tokio::test]
async fn a_hold_keeps_units_until_it_is_released() -> Result<()> {
    let (holder, stranger) = (guest().await?, guest().await?);
    let taken = hold(&holder, &[("KEEP-2", 1), ("KEEP-1", 4)], 60_000).await?;
    assert_eq!((taken.status, &taken.body["state"]), (201, &json!("HELD")));
    let id = taken.id()?;
    let line = |sku, quantity| json!({ "sku": sku, "quantity": quantity, "price_minor": 1000, "amount_minor": 1000 * quantity });
    assert_eq!(
        taken.body["items"],
        json!([line("KEEP-1", 4), line("KEEP-2", 1)])
    );
    assert_eq!(look(&holder, id).await?.body, taken.body);
    assert_eq!(
        (available("KEEP-1").await?, available("KEEP-2").await?),
        (6, 9)
    );

    let deadline = |reply: &Reply| reply.body["expires_at_ms"].as_i64().unwrap_or_default();
    let longer = extend(&holder, id, 120_000).await?;
    assert!(deadline(&longer) >= deadline(&taken) + 50_000, "{longer:?}");
    let shorter = extend(&holder, id, 1_000).await?;
    assert_eq!(
        (shorter.status, deadline(&shorter)),
        (200, deadline(&longer))
    );

    // Somebody else's hold is as unknown as none.
    for reply in [
        look(&stranger, id).await?,
        extend(&stranger, id, 60_000).await?,
        release(&stranger, id).await?,
        confirm(&stranger, id, GOOD_CARD).await?,
    ] {
        assert_eq!((reply.status, reply.problem()), (404, "not-found"));
    }

    assert_eq!(release(&holder, id).await?.status, 204);
    assert_eq!(release(&holder, id).await?.status, 204);
    assert_eq!(
        (available("KEEP-1").await?, available("KEEP-2").await?),
        (10, 10)
    );
    assert_eq!(look(&holder, id).await?.body["state"], "RELEASED");
    for late in [
        extend(&holder, id, 60_000).await?,
        confirm(&holder, id, GOOD_CARD).await?,
    ] {
        assert_eq!(
            (late.status, late.problem()),
            (409, "hold-ended"),
            "{late:?}"
        );
    }
    // Nobody was refused for stock, so nothing is told.
    audit("KEEP-1", &[], 0).await
}

#[tokio::test]
async fn a_hold_takes_every_line_or_none() -> Result<()> {
    let refused = hold(&guest().await?, &[("SHORT", 11), ("RANGE", 10)], 60_000).await?;
    assert_eq!((refused.status, refused.problem()), (409, "out-of-stock"));
    let short = json!([{ "sku": "SHORT", "requested": 11, "available": 10 }]);
    assert_eq!(refused.body["lines"], short);
    assert_eq!(
        (available("SHORT").await?, available("RANGE").await?),
        (10, 10)
    );
    Ok(())
}

#[tokio::test]
async fn a_hold_ends_at_its_deadline() -> Result<()> {
    let (holder, next) = (guest().await?, guest().await?);
    let taken = hold(&holder, &[("EXPIRES", 10)], 300).await?;
    let id = taken.id()?;
    wait::until_async("the deadline", PATIENCE, || async {
        Ok((look(&holder, id).await?.body["state"] == "EXPIRED").then_some(()))
    })
    .await?;
    assert_eq!(extend(&holder, id, 60_000).await?.problem(), "hold-ended");
    let sold = next.buy("EXPIRES", 10, GOOD_CARD).await?;
    assert_eq!(sold.status, 201, "{sold:?}");
    // Somebody else has the units: the order is written down as expired, and stays so.
    for _ in 0..2 {
        let late = confirm(&holder, id, GOOD_CARD).await?;
        assert_eq!((late.status, late.problem()), (409, "hold-ended"));
    }
    let expired = holder.get(&format!("/v1/orders/{id}")).await?.body;
    assert_eq!(expired["status"], "EXPIRED");
    assert_eq!(expired["reason"], "hold_expired");
    audit("EXPIRES", &[sold.id()?], 0).await
}

#[tokio::test]
async fn a_hold_that_is_confirmed_too_late_is_bought_while_there_are_units() -> Result<()> {
    let holder = guest().await?;
    let taken = hold(&holder, &[("LATE", 10)], 300).await?;
    let id = taken.id()?;
    wait::until_async("the deadline", PATIENCE, || async {
        Ok((look(&holder, id).await?.body["state"] == "EXPIRED").then_some(()))
    })
    .await?;
    let sold = confirm(&holder, id, GOOD_CARD).await?;
    assert_eq!((sold.status, sold.id()?), (201, id), "{sold:?}");
    audit("LATE", &[id], 0).await
}

#[tokio::test]
async fn of_a_release_and_a_confirmation_at_once_one_comes_to_nothing() -> Result<()> {
    let holder = guest().await?;
    let mut sold = Vec::new();
    for _ in 0..10 {
        let taken = hold(&holder, &[("RELEASED", 1)], 60_000).await?;
        let id = taken.id()?.to_owned();
        let (confirmed, released) =
            futures::future::join(confirm(&holder, &id, GOOD_CARD), release(&holder, &id)).await;
        let (confirmed, released) = (confirmed?, released?);
        match (confirmed.status, released.status) {
            (201, 409) => sold.push(id),
            (409, 204) => {}
            _ => panic!("{confirmed:?}, and {released:?}"),
        }
    }
    let sold: Vec<&str> = sold.iter().map(String::as_str).collect();
    audit("RELEASED", &sold, 0).await
}

#[tokio::test]
async fn a_confirmed_hold_is_an_order_of_the_same_id() -> Result<()> {
    let holder = guest().await?;
    let taken = hold(&holder, &[("PAID", 3)], 60_000).await?;
    let id = taken.id()?;
    let sold = confirm(&holder, id, GOOD_CARD).await?;
    assert_eq!((sold.status, sold.id()?), (201, id), "{sold:?}");
    let again = confirm(&holder, id, GOOD_CARD).await?;
    assert_eq!((again.status, &again.body), (201, &sold.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        holder.get(&format!("/v1/orders/{id}")).await?.body,
        sold.body
    );
    assert_eq!(look(&holder, id).await?.body["state"], "CONFIRMED");
    for late in [
        release(&holder, id).await?,
        extend(&holder, id, 60_000).await?,
    ] {
        assert_eq!(
            (late.status, late.problem()),
            (409, "hold-ended"),
            "{late:?}"
        );
    }
    audit("PAID", &[id], 0).await
}

#[tokio::test]
async fn confirmations_at_once_are_one_order() -> Result<()> {
    let holder = guest().await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let taken = hold(&holder, &[("TWICE", 1)], 60_000).await?;
        let id = taken.id()?.to_owned();
        let replies = try_join_all((0..4).map(|_| confirm(&holder, &id, GOOD_CARD))).await?;
        for reply in &replies {
            match reply.status {
                201 => assert_eq!(reply.id()?, id),
                _ => assert_eq!(reply.problem(), "request-in-flight", "{reply:?}"),
            }
        }
        assert!(
            replies.iter().any(|reply| reply.status == 201),
            "{replies:?}"
        );
        ids.push(id);
    }
    assert_eq!(holder.orders().await?.len(), 5);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    audit("TWICE", &ids, 0).await
}

#[tokio::test]
async fn a_hold_that_is_being_paid_for_stays() -> Result<()> {
    let holder = guest().await?;
    let taken = hold(&holder, &[("SLOW", 2)], 1_000).await?;
    let id = taken.id()?;
    let paying = confirm(&holder, id, SLOW_CARD);
    let meanwhile = async {
        wait::until_async("the payment to begin", PATIENCE, || async {
            Ok((look(&holder, id).await?.body["state"] == "PREPARED").then_some(()))
        })
        .await?;
        anyhow::Ok((
            release(&holder, id).await?,
            confirm(&holder, id, GOOD_CARD).await?,
        ))
    };
    let (paid, meanwhile) = futures::future::join(paying, meanwhile).await;
    let (released, confirmed) = meanwhile?;
    assert_eq!((released.status, released.problem()), (409, "hold-ended"));
    assert_eq!(
        (confirmed.status, confirmed.problem()),
        (409, "request-in-flight")
    );
    assert_eq!(paid?.status, 201);
    audit("SLOW", &[id], 0).await
}

#[tokio::test]
async fn a_payment_that_fails_ends_the_hold() -> Result<()> {
    for (sku, card, first, again) in [
        (
            "DECLINED",
            DECLINED_CARD,
            (402, "payment-declined"),
            (402, "payment-declined"),
        ),
        (
            "FAILING",
            FAILING_CARD,
            (503, "unavailable"),
            (409, "hold-ended"),
        ),
    ] {
        let holder = guest().await?;
        let taken = hold(&holder, &[(sku, 10)], 60_000).await?;
        let id = taken.id()?;
        for expected in [first, again] {
            let reply = confirm(&holder, id, card).await?;
            assert_eq!(
                (reply.status, reply.problem()),
                expected,
                "{sku}: {reply:?}"
            );
        }
        assert_eq!(available(sku).await?, 10);
        assert_eq!(look(&holder, id).await?.body["state"], "RELEASED");
        audit(sku, &[], 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_lasts_ten_minutes_at_most() -> Result<()> {
    let holder = guest().await?;
    for ttl_ms in [0, 600_001] {
        let reply = hold(&holder, &[("RANGE", 1)], ttl_ms).await?;
        assert_eq!((reply.status, reply.problem()), (400, "invalid-value"));
    }
    let body = json!({ "items": lines(&[("RANGE", 0)]) });
    let reply = holder.call(Method::POST, "/v1/holds", &body).await?;
    assert_eq!((reply.status, reply.problem()), (400, "invalid-value"));
    let unknown = look(&holder, "00000000-0000-7000-8000-000000000000").await?;
    assert_eq!(
        (unknown.status, &unknown.body["retry_safe"]),
        (404, &Value::Bool(false))
    );
    Ok(())
}

#[tokio::test]
async fn a_hold_whose_order_was_cancelled_says_so() -> Result<()> {
    let holder = guest().await?;
    let taken = hold(&holder, &[("CANCELLED", 2)], 60_000).await?;
    let id = taken.id()?;
    assert_eq!(confirm(&holder, id, GOOD_CARD).await?.status, 201);
    let says = async || {
        let refused = extend(&holder, id, 60_000).await?;
        assert_eq!((refused.status, refused.problem()), (409, "hold-ended"));
        let detail = refused.body["detail"].as_str().map(str::to_owned);
        detail.context("a detail")
    };
    let sold = says().await?;
    assert!(sold.ends_with("it is sold"), "{sold}");
    let path = format!("/v1/orders/{id}/cancel");
    let cancelled = holder.call(Method::POST, &path, &json!({})).await?;
    assert_eq!(cancelled.status, 200);
    let cancelled = says().await?;
    assert!(
        cancelled.ends_with("its order was cancelled"),
        "{cancelled}"
    );
    Ok(())
}
