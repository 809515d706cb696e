//! Many who watch one product.

use futures::future::try_join_all;
use reqwest::Client;

use super::*;

const WATCHERS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_watchers_are_one_subscription_and_each_is_told() -> Result<()> {
    let stack = STACK.read().await;
    let url = stack.proxy.url();
    let client = Client::new();
    let mut crowd = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS / 100 {
        let some = (0..100).map(|_| Heard::of(&client, &url, "CROWD", None));
        crowd.extend(try_join_all(some).await?);
    }
    until_subscribed(&stack, "CROWD", 1).await?;
    assert!(stack.proxy.metric("holdfast_stream_watchers").await? >= WATCHERS as f64);
    shop(&stack).set_stock("CROWD", 71).await?;
    try_join_all(
        crowd
            .iter_mut()
            .map(|heard| heard.until(|stock| on_hand(stock) == Some(71))),
    )
    .await?;
    assert_eq!(subscribed(&stack, "CROWD")?, 1);

    // The last one keeps the subscription.
    crowd.truncate(1);
    shop(&stack).set_stock("CROWD", 72).await?;
    crowd[0].until(|stock| on_hand(stock) == Some(72)).await?;
    assert_eq!(subscribed(&stack, "CROWD")?, 1);
    drop(crowd);
    until_subscribed(&stack, "CROWD", 0).await
}
