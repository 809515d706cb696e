//! "Two requests at once, and what one of them wrote is gone."

use std::collections::BTreeSet;

use futures::future::try_join_all;
use redis::Commands;

use super::*;

const PARALLEL: usize = 40;

#[tokio::test]
async fn parallel_requests_lose_no_update() -> Result<()> {
    let guest = shop().guest().await?;
    let touches = (0..PARALLEL).map(|n| {
        let guest = guest.clone();
        async move {
            let body = json!({ "page": "/", "item": format!("ITEM-{n}") });
            let path = "/v1/sessions/current/touch";
            guest.call(Method::POST, path, &body).await
        }
    });
    let touched = try_join_all(touches).await?;
    let counts: BTreeSet<_> = touched
        .iter()
        .map(|reply| reply.body["page_views"].as_i64())
        .collect();
    let expected = (1..=PARALLEL as i64).map(Some).collect();
    assert_eq!(
        counts, expected,
        "each of them is counted, and each was told another count"
    );
    let viewed = guest.get("/v1/sessions/current/viewed").await?;
    assert_eq!(viewed.body["items"].as_array().map(Vec::len), Some(25));
    Ok(())
}

#[test]
fn control_a_store_that_writes_back_loses_one() -> Result<()> {
    let mut redis = redis()?;
    let key = "control:lost-update";
    let one = naive::Request::read(&mut redis, key)?;
    let other = naive::Request::read(&mut redis, key)?;
    one.write(&mut redis)?;
    other.write(&mut redis)?;
    let views: i64 = redis.get(key)?;
    assert_eq!(views, 1, "of two");
    Ok(())
}
