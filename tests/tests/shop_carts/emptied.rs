//! By the order that buys it, whoever finishes the order, and by no other.

use futures::future::{join, try_join};
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, Reply, SLOW_CARD};

use super::*;

fn of_the_cart(card: &str) -> Value {
    json!({ "cart": true, "payment": { "card": card } })
}

async fn buy_cart(shopper: &Shopper, card: &str) -> Result<Reply> {
    (shopper.call(Method::POST, "/v1/orders", &of_the_cart(card))).await
}

/// Waits until an order of the shopper's is being paid.
async fn paying(stack: &Stack, shopper: &Shopper) -> Result<String> {
    wait::until_async("an order to be paid", PATIENCE, || async {
        let orders = shopper.orders().await?;
        let Some(id) = orders.first().and_then(|order| order["order_id"].as_str()) else {
            return Ok(None);
        };
        let payments = stack.payment.all().await?;
        Ok(payments.contains_key(id).then(|| id.to_owned()))
    })
    .await
}

#[tokio::test]
async fn what_is_added_while_it_is_bought_stays() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 2).await?;
    let more = async {
        paying(&stack, &shopper).await?;
        add(&shopper, "LAMP", 1).await?;
        add(&shopper, "VASE", 1).await
    };
    let (bought, added) = join(buy_cart(&shopper, SLOW_CARD), more).await;
    added?;
    assert_eq!(bought?.status, 201);
    assert_eq!(cart(&shopper).await?, of(&[("LAMP", 1), ("VASE", 1)]));
    Ok(())
}

#[tokio::test]
async fn a_buyer_who_leaves_finds_it_empty() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    let body = of_the_cart(SLOW_CARD);
    tokio::select! {
        answered = shopper.call(Method::POST, "/v1/orders", &body) => {
            anyhow::bail!("answered before the buyer could leave: {answered:?}")
        }
        paying = paying(&stack, &shopper) => drop(paying?),
    }
    assert_eq!(cart(&shopper).await?, of(&[("LAMP", 1)]), "not bought yet");
    becomes(&shopper, &[]).await
}

#[tokio::test]
async fn a_killed_proxys_order_empties_it_once_recovery_has_finished_it() -> Result<()> {
    let stack = STACK.write().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    let killed = async {
        let id = paying(&stack, &shopper).await?;
        stack.proxy.server().kill()?;
        anyhow::Ok(id)
    };
    let (answer, id) = join(buy_cart(&shopper, SLOW_CARD), killed).await;
    let id = id?;
    assert!(answer.is_err(), "{answer:?}");
    stack.proxy.start()?;
    assert_eq!(cart(&shopper).await?, of(&[("LAMP", 1)]), "not bought yet");
    add(&shopper, "LAMP", 4).await?;
    becomes(&shopper, &[("LAMP", 4)]).await?;
    let order = shopper.get(&format!("/v1/orders/{id}")).await?;
    assert_eq!(order.body["status"], "CONFIRMED");
    Ok(())
}

#[tokio::test]
async fn an_order_of_items_and_one_that_comes_to_nothing_leave_it_alone() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    assert_eq!(shopper.buy("LAMP", 1, GOOD_CARD).await?.status, 201);
    assert_eq!(buy_cart(&shopper, DECLINED_CARD).await?.status, 402);
    assert_eq!(cart(&shopper).await?, of(&[("LAMP", 1)]));
    // The control: the same order with a card that pays.
    assert_eq!(buy_cart(&shopper, GOOD_CARD).await?.status, 201);
    assert_eq!(cart(&shopper).await?, of(&[]));
    Ok(())
}

#[tokio::test]
async fn of_two_orders_at_once_the_second_takes_out_what_is_left() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "VASE", 1).await?;
    let slow = async {
        let bought = buy_cart(&shopper, SLOW_CARD).await?;
        anyhow::Ok(bought.status)
    };
    let quick = async {
        paying(&stack, &shopper).await?;
        let bought = buy_cart(&shopper, GOOD_CARD).await?;
        assert_eq!(cart(&shopper).await?, of(&[]));
        add(&shopper, "BOWL", 1).await?;
        anyhow::Ok(bought.status)
    };
    assert_eq!(try_join(slow, quick).await?, (201, 201));
    assert_eq!(cart(&shopper).await?, of(&[("BOWL", 1)]));
    Ok(())
}

#[tokio::test]
async fn a_cart_that_cannot_be_emptied_holds_no_answer_back_and_is_emptied_later() -> Result<()> {
    let stack = STACK.read().await;
    let shopper = shop(&stack).guest().await?;
    add(&shopper, "LAMP", 1).await?;
    let (key, aside) = (key(&shopper)?, format!("{}:aside", key(&shopper)?));
    let spoilt = async {
        paying(&stack, &shopper).await?;
        let () = redis::cmd("RENAME")
            .arg(&key)
            .arg(&aside)
            .query(&mut redis(&stack)?)?;
        let () = redis::cmd("SET")
            .arg(&key)
            .arg("no cart")
            .query(&mut redis(&stack)?)?;
        anyhow::Ok(())
    };
    let (bought, spoilt) = join(buy_cart(&shopper, SLOW_CARD), spoilt).await;
    spoilt?;
    assert_eq!(bought?.status, 201);
    let () = redis::cmd("RENAME")
        .arg(&aside)
        .arg(&key)
        .query(&mut redis(&stack)?)?;
    becomes(&shopper, &[]).await
}
