//! Servers that go away under those who watch.

use std::time::Instant;

use reqwest::Client;

use super::*;
use holdfast_tests::heard::Block;

async fn watch(stack: &Stack, sku: &str) -> Result<Heard> {
    let mut heard = Heard::of(&Client::new(), &stack.proxy.url(), sku, None).await?;
    heard.stock().await?;
    until_subscribed(stack, sku, 1).await?;
    Ok(heard)
}

#[tokio::test]
async fn a_subscription_that_was_cut_is_made_anew_and_what_was_missed_is_told() -> Result<()> {
    let stack = STACK.write().await;
    let mut heard = watch(&stack, "CUT").await?;
    let mut redis = stack.redis.connection()?;
    for units in 21..24 {
        let cut: u64 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "pubsub"])
            .query(&mut redis)?;
        assert!(cut >= 1, "nobody listens");
        shop(&stack).set_stock("CUT", units).await?;
        heard.until(|stock| on_hand(stock) == Some(units)).await?;
        until_subscribed(&stack, "CUT", 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn while_redis_is_away_watchers_stay_and_then_get_the_newest() -> Result<()> {
    let stack = STACK.write().await;
    let mut heard = watch(&stack, "AWAY").await?;
    stack.redis.server()?.kill()?;
    for _ in 0..5 {
        assert_eq!(heard.next().await?, Some(Block::Heartbeat));
    }
    stack.redis.start_again()?;
    stack.redis.admit_proxy()?;
    wait::until_async("the stock to be set", PATIENCE, || async {
        Ok(shop(&stack).set_stock("AWAY", 61).await.ok())
    })
    .await?;
    heard.until(|stock| on_hand(stock) == Some(61)).await?;
    // And it goes on as before.
    until_subscribed(&stack, "AWAY", 1).await?;
    shop(&stack).set_stock("AWAY", 62).await?;
    heard.until(|stock| on_hand(stock) == Some(62)).await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_stops_ends_its_streams_at_once() -> Result<()> {
    let stack = STACK.read().await;
    let proxy = stack.another_proxy()?;
    let client = Client::new();
    let mut heard = Heard::of(&client, &proxy.url(), "LAMP", None).await?;
    heard.stock().await?;
    let began = Instant::now();
    proxy.server().stop()?;
    while heard.next().await?.is_some() {}
    // A drain that waited for them would take `http.drain_timeout_ms`, ten seconds.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}
