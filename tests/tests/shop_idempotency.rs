//! Idempotency-Key: a request that comes again is done once and answered as it was, by whichever proxy it asks.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::books::{self, Books, Expected};
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{
    DECLINED_CARD, GOOD_CARD, Reply, SLOW_CARD, Shop, Shopper, lines, send,
};
use holdfast_tests::stack::{Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// Each test has a product of its own, ten units at 10.00.
static STACK: LazyLock<Stack> = LazyLock::new(|| start().expect("a shop"));
/// A second proxy of the same shop, which forgets soon.
static FORGETFUL: LazyLock<Proxy> = LazyLock::new(|| {
    let settings = [
        ("HOLDFAST_IDEMPOTENCY__EXPIRY_MS", "2000"),
        ("HOLDFAST_IDEMPOTENCY__REFUSAL_EXPIRY_MS", "2000"),
    ];
    STACK.another_proxy_with(&settings).expect("a second proxy")
});

fn start() -> Result<Stack> {
    Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&[
            "AGAIN",
            "CROWD",
            "RESTOCK",
            "AGED",
            "TWIN",
            "SHORT",
            "HELD",
            "POOR",
            "WORDED",
            "CALLED-OFF",
        ])?),
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

/// A request with a key, to be sent any number of times.
async fn post(shopper: &Shopper, path: &str, key: &str, body: &Value) -> Result<Reply> {
    let request = shopper.request(Method::POST, path);
    send(request.header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn of_two_twins_one_buys_and_the_other_is_told_to_wait() -> Result<()> {
    // All ten units: what one twin holds, the other lacks.
    let buyer = guest().await?;
    let there = buyer.at(&FORGETFUL);
    let order = async |buyer: &Shopper, sku, key| buyer.order(&[(sku, 10)], SLOW_CARD, key).await;
    let (one, two) = tokio::try_join!(
        order(&buyer, "TWIN", Some("twin")),
        order(&there, "TWIN", Some("twin"))
    )?;
    let (sold, twin) = match one.status {
        201 => (one, two),
        _ => (two, one),
    };
    assert_eq!(sold.status, 201, "{sold:?}");
    assert_eq!((twin.status, twin.problem()), (409, "request-in-flight"));
    assert_eq!(twin.headers["retry-after"], "1");
    let again = order(&buyer, "TWIN", Some("twin")).await?;
    assert_eq!((again.status, &again.body), (201, &sold.body));
    assert_eq!(again.headers["location"], sold.headers["location"]);
    audit("TWIN", &[sold.id()?]).await?;

    // Without a key there is nothing to know a twin by.
    let (one, two) = tokio::try_join!(order(&buyer, "SHORT", None), order(&there, "SHORT", None))?;
    let (sold, short) = match one.status {
        201 => (one, two),
        _ => (two, one),
    };
    assert_eq!((sold.status, short.problem()), (201, "out-of-stock"));
    Ok(())
}

#[tokio::test]
async fn a_refusal_for_stock_is_told_again_for_a_while_and_then_asked_anew() -> Result<()> {
    let buyer = Shop::of(&FORGETFUL).guest().await?;
    let attempt = || buyer.order(&[("RESTOCK", 12)], GOOD_CARD, Some("twelve"));
    let (first, again) = (attempt().await?, attempt().await?);
    assert_eq!(first.problem(), "out-of-stock");
    assert!(is_replay(&again) && again.body == first.body, "{again:?}");
    Shop::of(&STACK.proxy).set_stock("RESTOCK", 12).await?;
    let sold = until_not_replayed(attempt).await?;
    assert_eq!(sold.status, 201, "{sold:?}");
    let expected = Expected::of(12, &[sold.id()?], 1);
    books::audit(&STACK, "RESTOCK", &expected).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_whose_day_is_over_buys_anew() -> Result<()> {
    let buyer = Shop::of(&FORGETFUL).guest().await?;
    let attempt = || buyer.order(&[("AGED", 1)], GOOD_CARD, Some("daily"));
    let first = attempt().await?;
    let second = until_not_replayed(attempt).await?;
    assert_eq!(second.status, 201, "{second:?}");
    audit("AGED", &[first.id()?, second.id()?]).await?;
    Ok(())
}

async fn until_not_replayed<A>(attempt: impl Fn() -> A) -> Result<Reply>
where
    A: Future<Output = Result<Reply>>,
{
    wait::until_async("the key to be forgotten", PATIENCE, || async {
        let reply = attempt().await?;
        Ok((!is_replay(&reply)).then_some(reply))
    })
    .await
}

#[tokio::test]
async fn a_declined_payment_stays_declined_under_its_key() -> Result<()> {
    let buyer = guest().await?;
    let first = buyer
        .order(&[("POOR", 1)], DECLINED_CARD, Some("p"))
        .await?;
    let again = buyer
        .order(&[("POOR", 1)], DECLINED_CARD, Some("p"))
        .await?;
    assert_eq!((first.status, is_replay(&first)), (402, false));
    assert_eq!((again.status, is_replay(&again)), (402, true));
    assert_eq!(again.headers["content-type"], "application/problem+json");
    assert_eq!(again.body, first.body);
    Ok(())
}

#[tokio::test]
async fn a_hold_is_taken_once_and_confirmed_once() -> Result<()> {
    let buyer = guest().await?;
    let items = json!({ "items": lines(&[("HELD", 2)]) });
    let hold = post(&buyer, "/v1/holds", "hold", &items).await?;
    let again = post(&buyer, "/v1/holds", "hold", &items).await?;
    assert_eq!((again.status, &again.body), (201, &hold.body));
    let held = buyer.get("/v1/stock/HELD").await?;
    assert_eq!(held.body["available"], 8, "{held:?}");

    let confirm = format!("/v1/holds/{}/confirm", hold.id()?);
    let payment = json!({ "payment": { "card": GOOD_CARD } });
    let sold = post(&buyer, &confirm, "pay", &payment).await?;
    let again = post(&buyer.at(&FORGETFUL), &confirm, "pay", &payment).await?;
    assert_eq!((sold.status, again.status), (201, 201), "{sold:?}");
    assert!(is_replay(&again) && again.body == sold.body, "{again:?}");
    // One key, another path.
    let elsewhere = post(&buyer, &confirm, "hold", &payment).await?;
    assert_eq!((elsewhere.status, elsewhere.problem()), (422, "mismatch"));
    audit("HELD", &[sold.id()?]).await?;
    Ok(())
}

#[tokio::test]
async fn a_cancellation_is_told_again_and_so_is_the_sale_before_it() -> Result<()> {
    let buyer = guest().await?;
    let order = || buyer.order(&[("CALLED-OFF", 1)], GOOD_CARD, Some("buy"));
    let sold = order().await?;
    let cancel = format!("/v1/orders/{}/cancel", sold.id()?);
    let cancelled = post(&buyer, &cancel, "cancel", &json!({})).await?;
    let again = post(&buyer.at(&FORGETFUL), &cancel, "cancel", &json!({})).await?;
    assert_eq!((cancelled.status, is_replay(&cancelled)), (200, false));
    assert!(
        is_replay(&again) && again.body == cancelled.body,
        "{again:?}"
    );
    // The answer to the order was that it is sold, and it does not change.
    let again = order().await?;
    assert!(is_replay(&again) && again.body == sold.body, "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_a_word_is_as_good_as_a_string() -> Result<()> {
    let buyer = guest().await?;
    let body = json!({ "items": lines(&[("WORDED", 1)]), "payment": { "card": GOOD_CARD } });
    for key in ["", "\"open", "two words", "a, b"] {
        let refused = post(&buyer, "/v1/orders", key, &body).await?;
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "invalid-value"),
            "{key}"
        );
    }
    let twice = buyer.request(Method::POST, "/v1/orders").json(&body);
    let twice = twice
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    assert_eq!(send(twice).await?.status, 400);

    let string = post(&buyer, "/v1/orders", "\"8e03978e\"; v=1", &body).await?;
    let word = post(&buyer, "/v1/orders", "8e03978e", &body).await?;
    assert_eq!(string.status, 201, "{string:?}");
    assert!(is_replay(&word) && word.body == string.body, "{word:?}");
    // What a body says counts, not how it is written.
    let spaced = format!(
        "{{ \"payment\": {{ \"card\": \"{GOOD_CARD}\" }},\n \"items\": {} }}",
        lines(&[("WORDED", 1)])
    );
    let request = buyer.request(Method::POST, "/v1/orders").body(spaced);
    let request = request.header("Content-Type", "application/json");
    let spaced = send(request.header("Idempotency-Key", "8e03978e")).await?;
    assert!(is_replay(&spaced), "{spaced:?}");
    audit("WORDED", &[string.id()?]).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_outlives_its_proxy_and_all_that_redis_knows() -> Result<()> {
    let stack = Stack::start(StackOptions {
        catalogue: Some(catalogue_of(&["LASTING"])?),
        ..StackOptions::default()
    })?;
    let another = stack.another_proxy()?;
    let (shop, there) = (Shop::of(&stack.proxy), Shop::of(&another));
    shop.register("ada@example.com").await?;
    let buyer = shop.log_in("ada@example.com").await?;
    let attempt = |buyer: Shopper| async move {
        buyer
            .order(&[("LASTING", 1)], SLOW_CARD, Some("lasting"))
            .await
    };

    // The proxy dies while it waits for the payment, so the first attempt has no answer.
    let killed = async {
        wait::until_async("the payment to begin", PATIENCE, || async {
            Ok((!stack.payment.all().await?.is_empty()).then_some(()))
        })
        .await?;
        stack.proxy.server().kill()
    };
    let (lost, killed) = tokio::join!(attempt(buyer.clone()), killed);
    killed?;
    assert!(lost.is_err(), "{lost:?}");
    let in_flight = attempt(buyer.at(&another)).await?;
    assert_eq!(in_flight.problem(), "request-in-flight", "{in_flight:?}");
    let sold = wait::until_async("another proxy to finish the sale", PATIENCE, || async {
        let reply = attempt(buyer.at(&another)).await?;
        Ok((reply.problem() != "request-in-flight").then_some(reply))
    })
    .await?;
    assert_eq!((sold.status, is_replay(&sold)), (201, true), "{sold:?}");

    stack.proxy.start()?;
    let again = attempt(buyer.clone()).await?;
    assert_eq!((again.status, again.id()?), (201, sold.id()?), "{again:?}");
    books::audit(&stack, "LASTING", &Expected::of(10, &[sold.id()?], 0)).await?;

    // Redis forgets everything, the session too.
    redis::cmd("FLUSHALL").exec(&mut stack.redis.connection()?)?;
    let buyer = there.log_in("ada@example.com").await?;
    let again = attempt(buyer.clone()).await?;
    assert_eq!((again.status, again.id()?), (201, sold.id()?), "{again:?}");
    assert!(is_replay(&again), "{again:?}");
    redis::cmd("FLUSHALL").exec(&mut stack.redis.connection()?)?;
    let buyer = there.log_in("ada@example.com").await?;
    let other = buyer
        .order(&[("LASTING", 2)], SLOW_CARD, Some("lasting"))
        .await?;
    assert_eq!((other.status, other.problem()), (422, "mismatch"));
    assert_eq!(buyer.orders().await?.len(), 1);
    Ok(())
}
