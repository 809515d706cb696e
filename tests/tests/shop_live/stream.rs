//! What one watcher is told.

use holdfast_tests::shop::GOOD_CARD;
use holdfast_tests::wait;
use reqwest::{Client, StatusCode};

use super::*;
use holdfast_tests::heard::Block;

async fn watch(stack: &Stack, sku: &str, last_id: Option<&str>) -> Result<Heard> {
    Heard::of(&Client::new(), &stack.proxy.url(), sku, last_id).await
}

#[tokio::test]
async fn the_state_is_told_at_once_and_every_change_after_it() -> Result<()> {
    let stack = STACK.read().await;
    let mut heard = watch(&stack, "lamp", None).await?;
    let begin = heard.next().await?;
    assert!(
        matches!(begin, Some(Block::Retry(ms)) if ms >= 1_000),
        "{begin:?}"
    );
    assert_eq!(heard.stock().await?, shop(&stack).stock("LAMP").await?);
    shop(&stack).set_stock("LAMP", 33).await?;
    heard.until(|stock| on_hand(stock) == Some(33)).await?;
    let bought = shop(&stack)
        .guest()
        .await?
        .buy("LAMP", 2, GOOD_CARD)
        .await?;
    assert_eq!(bought.status, 201);
    let told = heard
        .until(|stock| on_hand(stock) == Some(31) && stock["held"] == 0)
        .await?;
    assert_eq!(told, shop(&stack).stock("LAMP").await?);
    Ok(())
}

#[tokio::test]
async fn who_comes_back_is_told_only_what_has_changed() -> Result<()> {
    let stack = STACK.read().await;
    let mut heard = watch(&stack, "VASE", None).await?;
    heard.stock().await?;
    let id = heard.last_id.clone();
    drop(heard);

    let mut again = watch(&stack, "VASE", id.as_deref()).await?;
    for _ in 0..3 {
        let heard = again.next().await?;
        assert!(
            !matches!(heard, Some(Block::Stock(_))),
            "it is known: {heard:?}"
        );
    }
    shop(&stack).set_stock("VASE", 44).await?;
    again.until(|stock| on_hand(stock) == Some(44)).await?;
    drop(again);

    let mut late = watch(&stack, "VASE", id.as_deref()).await?;
    assert_eq!(on_hand(&late.stock().await?), Some(44));
    Ok(())
}

#[tokio::test]
async fn what_is_no_product_has_no_stream() -> Result<()> {
    let stack = STACK.read().await;
    for sku in ["NO-SUCH-THING", "no%20sku"] {
        let url = format!("{}/v1/stock/{sku}/stream", stack.proxy.url());
        let refused = Client::new().get(url).send().await?;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        let kind = refused.headers()["content-type"].to_str()?.to_owned();
        assert_eq!(kind, "application/problem+json");
    }
    Ok(())
}

#[tokio::test]
async fn streams_have_a_cap_of_their_own_and_keep_no_request_out() -> Result<()> {
    let stack = STACK.read().await;
    let proxy = stack.another_proxy_with(&[
        ("HOLDFAST_STREAM__MAX_WATCHERS", "3"),
        ("HOLDFAST_STREAM__HEARTBEAT_MS", "300"),
        ("HOLDFAST_STREAM__LIFETIME_MS", "3000"),
        ("HOLDFAST_HTTP__MAX_CONCURRENT_REQUESTS", "2"),
        ("HOLDFAST_HTTP__REQUEST_TIMEOUT_MS", "500"),
        ("HOLDFAST_HTTP__BODY_TIMEOUT_MS", "400"),
    ])?;
    let client = Client::new();
    let mut watching = Vec::new();
    for _ in 0..3 {
        watching.push(Heard::of(&client, &proxy.url(), "BOWL", None).await?);
    }
    let url = format!("{}/v1/stock/BOWL/stream", proxy.url());
    let refused = client.get(&url).send().await?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await?.contains("/problems/overloaded"));

    // They live past the deadline of a request, and end when they are old.
    for heard in &mut watching {
        let mut heartbeats = 0;
        while let Some(block) = heard.next().await? {
            heartbeats += usize::from(block == Block::Heartbeat);
        }
        assert!(heartbeats > 3, "only {heartbeats}");
    }
    assert!(Shop::of(&proxy).stock("BOWL").await.is_ok());
    // Their places are free again.
    wait::until_async("a place", PATIENCE, || async {
        Ok(Heard::of(&client, &proxy.url(), "BOWL", None).await.ok())
    })
    .await?;
    Ok(())
}
