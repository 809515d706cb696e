//! A shop that sells, declines, is killed and sells on is sound, and found so while it sells.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use holdfast_tests::data::Home;
use holdfast_tests::shop::{DECLINED_CARD, GOOD_CARD, LOST_REPLY_CARD, SLOW_CARD, Shop, Shopper};
use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection, MySqlConnection};

use crate::{Audit, PATIENCE, STACK, assert_sound, audit};

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_sold_declined_and_was_killed_is_sound() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("LAMP", 40).await?;
    let buyers = try_join_all((0..12).map(|_| shop.guest())).await?;
    let cards = [GOOD_CARD, DECLINED_CARD, LOST_REPLY_CARD, GOOD_CARD];
    let orders = buyers.iter().zip(cards.into_iter().cycle());
    let replies = try_join_all(orders.map(|(buyer, card)| buyer.buy("LAMP", 2, card))).await?;
    let mut acknowledged = String::new();
    for reply in replies.iter().filter(|reply| reply.status == 201) {
        acknowledged += &format!("{}\n", reply.id()?);
    }
    ensure!(acknowledged.lines().count() >= 6, "{replies:?}");
    // One that was sold, taken back.
    let (place, reply) = replies
        .iter()
        .enumerate()
        .find(|(_, reply)| reply.status == 201)
        .context("somebody bought")?;
    let path = format!("/v1/orders/{}/cancel", reply.id()?);
    let cancelled = buyers[place]
        .call(Method::POST, &path, &Value::Null)
        .await?;
    ensure!(cancelled.is_success(), "{cancelled:?}");
    // More than there is.
    ensure!(buyers[0].buy("LAMP", 1000, GOOD_CARD).await?.status == 409);
    assert_eq!(
        Audit::of(&stack, &[]).await?.code,
        0,
        "while it may still be selling"
    );

    let paying = buyers[1].buy("LAMP", 1, SLOW_CARD);
    let killing = async {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let pending = "SELECT COUNT(*) FROM orders WHERE status = 'PENDING'";
        let deadline = Instant::now() + PATIENCE;
        while sqlx::query_scalar::<_, i64>(pending)
            .fetch_one(&mut mysql)
            .await?
            == 0
        {
            ensure!(Instant::now() < deadline, "no order was recorded");
        }
        stack.proxy.server().kill()?;
        stack.proxy.start()
    };
    let (_answer_is_lost, killed) = futures::future::join(paying, killing).await;
    killed?;

    let file = Home::for_test("acknowledged")?.path("orders");
    std::fs::write(&file, acknowledged)?;
    let file = file.to_str().context("the path is not UTF-8")?;
    assert_sound(&stack, &["--acknowledged", file]).await?;
    let text = audit(&stack, &[]).await?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    ensure!(text.ends_with("SOUND: every invariant holds\n"), "{text}");
    Ok(())
}

/// Buys, and takes every third order back, until the audits are over.
async fn trade(buyer: Shopper, card: &str, is_over: &AtomicBool) -> Result<()> {
    let mut orders = 0;
    while !is_over.load(Ordering::Relaxed) {
        let reply = buyer.order(&[("LAMP", 1), ("VASE", 2)], card, None).await?;
        orders += 1;
        if reply.status == 201 && orders % 3 == 0 {
            let path = format!("/v1/orders/{}/cancel", reply.id()?);
            buyer.call(Method::POST, &path, &Value::Null).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_sells_meanwhile_raises_no_false_alarm() -> Result<()> {
    let stack = STACK.lock().await;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock("LAMP", 100_000).await?;
    shop.set_stock("VASE", 100_000).await?;
    let buyers = try_join_all((0..16).map(|_| shop.guest())).await?;
    let cards = [GOOD_CARD, DECLINED_CARD, GOOD_CARD, LOST_REPLY_CARD];
    let is_over = AtomicBool::new(false);
    let trading = buyers.into_iter().zip(cards.into_iter().cycle());
    let trading = try_join_all(trading.map(|(buyer, card)| trade(buyer, card, &is_over)));
    let auditing = async {
        let (mut sound, mut in_motion) = (0, 0);
        let deadline = Instant::now() + PATIENCE;
        while (sound < 5 || in_motion < 3) && Instant::now() < deadline {
            let audit = Audit::of(&stack, &[]).await?;
            ensure!(audit.code == 0, "{:#}", audit.report);
            sound += 1;
            in_motion += u32::from(audit.report["in_flight"]["orders"].as_u64() > Some(0));
        }
        ensure!(
            in_motion >= 3,
            "only {in_motion} audits of {sound} met orders in flight"
        );
        anyhow::Ok(())
    };
    let auditing = async {
        let audited = auditing.await;
        is_over.store(true, Ordering::Relaxed);
        audited
    };
    let (traded, audited) = futures::future::join(trading, auditing).await;
    audited?;
    traded?;
    assert_sound(&stack, &[]).await
}
