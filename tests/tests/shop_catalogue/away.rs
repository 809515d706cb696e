//! The catalogue while Redis is away.

use super::*;

#[tokio::test]
async fn without_redis_the_catalogue_is_served_and_changes_are_told_when_it_is_back() -> Result<()>
{
    let stack = Stack::start(StackOptions {
        kafka: false,
        catalogue: Some(catalogue_of(&["AWAY-1", "AWAY-2"])?),
        environment: environment_of(&[("HOLDFAST_CATALOGUE__LOCAL_TTL_MS", "1000")]),
        ..StackOptions::default()
    })?;
    let Ok(redis) = stack.redis.server() else {
        return Ok(());
    };
    let other = stack.another_proxy()?;
    // The sleeper keeps what it has for long, so that only the word can end it.
    let sleeper = stack.another_proxy_with(&KEPT_FOR_LONG)?;
    until_named(&sleeper, "AWAY-1", Some("Thing")).await?;
    redis.kill()?;
    for path in ["/v1/products/AWAY-2", "/v1/products?q=thing"] {
        let shown = get(&stack.proxy, path).await?;
        assert_eq!(shown.status, 200, "{shown:?}");
    }
    let shown = get(&stack.proxy, "/v1/products/AWAY-1").await?;
    assert_eq!(
        (&shown.body["name"], &shown.body["available"]),
        (&json!("Thing"), &Value::Null)
    );

    let shop = Shop::of(&stack.proxy);
    let changed = shop
        .call(Method::PUT, "/v1/products/AWAY-1", &form("Changed", 1000))
        .await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        name_at(&stack.proxy, "AWAY-1").await?.as_deref(),
        Some("Changed"),
        "here at once"
    );
    until_named(&other, "AWAY-1", Some("Changed")).await?;
    assert_eq!(name_at(&sleeper, "AWAY-1").await?.as_deref(), Some("Thing"));

    stack.redis.start_again()?;
    until_named(&sleeper, "AWAY-1", Some("Changed")).await?;
    wait::until_async("Redis to be told", Duration::from_secs(30), || async {
        let mut connection = stack.redis.connection()?;
        let kept: Option<String> = redis::cmd("GET")
            .arg("product:{AWAY-1}")
            .query(&mut connection)?;
        Ok(kept
            .is_some_and(|kept| kept.contains("Changed"))
            .then_some(()))
    })
    .await?;
    wait::until_async("availability", Duration::from_secs(30), || async {
        let shown = get(&stack.proxy, "/v1/products/AWAY-1").await?;
        Ok((shown.body["available"] == 10).then_some(()))
    })
    .await
}
