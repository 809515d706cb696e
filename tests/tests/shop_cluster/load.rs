//! Buyers and visitors who come all the while, and what they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_tests::shop::{GOOD_CARD, Shop, Shopper};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::interval;

/// At once.
pub const PEOPLE: usize = 12;
/// Between two requests of one of them.
const PACE: Duration = Duration::from_millis(15);

/// One answer.
#[derive(Debug, Clone)]
#[allow(
    dead_code,
    reason = "what went wrong is shown with all that is known of it"
)]
pub struct Answered {
    /// What was bought; nothing by who only looks round.
    pub skus: Vec<&'static str>,
    /// The status.
    pub status: u16,
    /// When it was asked for.
    pub asked: Instant,
    /// How long it took.
    pub took: Duration,
    /// What was said.
    pub words: String,
}

impl Answered {
    /// As it should be.
    pub fn is_served(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Has people come while `act` is done: each buyer takes one basket after the other.
pub async fn while_they_come<T>(
    shop: &Shop,
    baskets: &[Vec<&'static str>],
    act: impl Future<Output = Result<T>>,
) -> Result<(T, Vec<Answered>)> {
    let mut shoppers = Vec::new();
    for _ in 0..PEOPLE {
        shoppers.push(shop.guest().await?);
    }
    while_these_come(shoppers, baskets, act).await
}

/// The same with people who are there already, every other of whom only looks round.
pub async fn while_these_come<T>(
    shoppers: Vec<Shopper>,
    baskets: &[Vec<&'static str>],
    act: impl Future<Output = Result<T>>,
) -> Result<(T, Vec<Answered>)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut people = JoinSet::new();
    for (number, shopper) in shoppers.into_iter().enumerate() {
        let is_over = is_over.clone();
        let baskets = match number % 2 == 0 {
            true => baskets.to_vec(),
            false => vec![Vec::new()],
        };
        people.spawn(come(shopper, baskets, is_over));
    }
    let acted = act.await;
    is_over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Some(answered) = people.join_next().await {
        all.extend(answered??);
    }
    Ok((acted?, all))
}

async fn come(
    shopper: Shopper,
    baskets: Vec<Vec<&'static str>>,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<Answered>> {
    let (mut pace, mut answered) = (interval(PACE), Vec::new());
    for skus in baskets.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        pace.tick().await;
        let asked = Instant::now();
        let items: Vec<(&str, i64)> = skus.iter().map(|sku| (*sku, 1)).collect();
        let reply = match items.is_empty() {
            true => {
                let path = "/v1/sessions/current/touch";
                shopper.call(Method::POST, path, &json!({})).await?
            }
            false => shopper.order(&items, GOOD_CARD, None).await?,
        };
        answered.push(Answered {
            skus: skus.clone(),
            status: reply.status,
            asked,
            took: asked.elapsed(),
            words: reply.body.to_string(),
        });
    }
    Ok(answered)
}

/// The time within which 99 of 100 were answered.
pub fn percentile_99<'a>(answered: impl Iterator<Item = &'a Answered>) -> Duration {
    let mut times: Vec<Duration> = answered.map(|answer| answer.took).collect();
    times.sort_unstable();
    times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
}
