//! Orders without Redis: refused at once, or sold by what MySQL has, and never more than that.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use holdfast_tests::faults::rest::audit;
use holdfast_tests::proxy::Proxy;
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, Reply, Shop, Shopper};
use holdfast_tests::stack::Stack;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::{STACK, given_up, is_counted, is_refused_for_now, sells_again};

/// More than the ten units that there are.
const BUYERS: usize = 40;

#[tokio::test]
async fn the_last_units_are_sold_once_by_the_database_and_redis_is_told() -> Result<()> {
    let stack = STACK.lock().await;
    is_counted(&stack, "LAST").await?;
    let sells_without =
        stack.another_proxy_with(&[("HOLDFAST_ORDERS__WITHOUT_REDIS", "database")])?;
    let shop = Shop::of(&sells_without);
    let buyers = try_join_all((0..BUYERS).map(|_| shop.guest())).await?;
    stack.redis.server()?.kill()?;
    let sold = async {
        given_up(&stack.proxy).await?;
        given_up(&sells_without).await?;
        sell_out(&stack, &buyers).await
    };
    let sold = sold.await;

    // Nobody looks at Redis before this does: it counts what was sold without it.
    let proxies = [&stack.proxy, &sells_without];
    signal(&proxies, Signal::SIGSTOP)?;
    stack.redis.start_again()?;
    let before = available(&stack, "LAST");
    signal(&proxies, Signal::SIGCONT)?;
    sold?;
    assert_eq!(
        before?, 10,
        "the control: what a proxy would sell by that does not compare first"
    );
    for proxy in proxies {
        sells_again(proxy).await?;
        assert_eq!(available(&stack, "LAST")?, 0);
    }
    let late = buyers[0].buy("LAST", 1, GOOD_CARD).await?;
    assert_eq!((late.status, late.problem()), (409, "out-of-stock"));
    audit(&stack, None)?;
    Ok(())
}

/// All ten units of LAST are sold to the buyers, one of them twice.
async fn sell_out(stack: &Stack, buyers: &[Shopper]) -> Result<()> {
    let refused = buyers[0].at(&stack.proxy).buy("LAST", 1, GOOD_CARD).await?;
    assert!(is_refused_for_now(&refused), "{refused:?}");
    let declined = buyers[0].buy("LAST", 1, DECLINED_CARD).await?;
    assert_eq!(declined.status, 402, "{declined:?}");

    let orders = buyers.iter().enumerate().map(|(n, buyer)| async move {
        let key = format!("buyer-{n}");
        buyer.order(&[("LAST", 1)], GOOD_CARD, Some(&key)).await
    });
    let replies = try_join_all(orders).await?;
    let sold: Vec<(usize, &Reply)> = (replies.iter().enumerate())
        .filter(|(_, reply)| reply.status == 201)
        .collect();
    assert_eq!(sold.len(), 10, "{replies:?}");
    for reply in &replies {
        let is_short = (reply.status, reply.problem()) == (409, "out-of-stock");
        assert!(reply.status == 201 || is_short, "{reply:?}");
    }
    let ids: BTreeSet<&str> = sold
        .iter()
        .filter_map(|(_, reply)| reply.id().ok())
        .collect();
    assert_eq!(ids.len(), 10);

    let (first, reply) = sold.first().context("ten were sold")?;
    let (buyer, key) = (&buyers[*first], format!("buyer-{first}"));
    let again = buyer.order(&[("LAST", 1)], GOOD_CARD, Some(&key)).await?;
    assert_eq!((again.status, again.id()?), (201, reply.id()?));
    let other = buyer.order(&[("LAST", 2)], GOOD_CARD, Some(&key)).await?;
    assert_eq!(other.status, 422, "{other:?}");

    let path = format!("/v1/orders/{}/cancel", reply.id()?);
    let cancelled = buyer.call(Method::POST, &path, &json!({})).await?;
    assert_eq!(
        (cancelled.status, &cancelled.body["status"]),
        (200, &json!("CANCELLED"))
    );
    let freed = buyer.buy("LAST", 1, GOOD_CARD).await?;
    assert_eq!(freed.status, 201, "{freed:?}");
    Ok(())
}

fn signal(proxies: &[&Proxy], signal: Signal) -> Result<()> {
    proxies
        .iter()
        .try_for_each(|proxy| proxy.server().signal(signal))
}

/// What Redis says can be sold.
fn available(stack: &Stack, sku: &str) -> Result<i64> {
    let mut redis = stack.redis.connection()?;
    let view: std::collections::HashMap<String, i64> = redis::cmd("INV.GET")
        .arg(format!("inv:{{{sku}}}"))
        .query(&mut redis)?;
    view.get("available")
        .copied()
        .context("INV.GET says nothing of what is available")
}
