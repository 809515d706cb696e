//! Holdfast's own gateway and store, in the order of its saga.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use holdfast_proxy::gateway::inventory::Word;
use holdfast_proxy::gateway::reservation::Taking;
use holdfast_proxy::orders::End;
use holdfast_proxy::store::committer::{Committed, Recorded};

use super::shop::{Shop, order};

const HOLD_MS: u64 = 15_000;
const LEASE_MS: u64 = 10_000;

/// Buys one unit, and answers how long its buyer waited; the bookkeeping behind the answer comes on top for the next.
pub async fn buy(shop: Arc<Shop>) -> Result<Duration> {
    let order = order()?;
    let holds = order.holds();
    let began = Instant::now();
    let reserved = shop
        .gateway
        .reserve_all(order.id, &holds, HOLD_MS, Taking::New)
        .await?;
    ensure!(reserved.word == Word::Reserved, "{:?}", reserved.word);
    let recorded = shop
        .store
        .record_order(&order, order.id, None, &reserved.lines, LEASE_MS)
        .await?;
    ensure!(recorded == Recorded::Recorded, "{recorded:?}");
    let prepared = shop.gateway.prepare_all(order.id, &holds).await?;
    ensure!(prepared.iter().all(|line| line.word == Word::Prepared));
    let committed = shop.store.commit_order(&order, "paid").await?;
    ensure!(committed == Committed::Committed, "{committed:?}");
    let confirmed = shop.gateway.confirm_all(order.id, &holds, true).await?;
    ensure!(confirmed.iter().all(|line| line.word == Word::Confirmed));
    let waited = began.elapsed();
    shop.store.settle_order(order.id, End::Sold).await?;
    Ok(waited)
}
