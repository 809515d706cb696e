//! A buyer who buys all the time, whatever happens to Redis.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use holdfast_tests::shop::{GOOD_CARD, Shop};

/// What all buyers of a test share.
pub struct Market {
    pub shop: Shop,
    /// Orders that were answered 201.
    pub sold: AtomicUsize,
    /// Set when nobody is to buy any more.
    pub is_over: AtomicBool,
}

/// What one buyer knows.
#[derive(Default)]
pub struct Known {
    pub sold: BTreeSet<String>,
    pub refused: usize,
    pub unanswered: usize,
    /// The longest that an answer took.
    pub longest: Duration,
}

impl Market {
    pub fn open(shop: Shop) -> Market {
        Market {
            shop,
            sold: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Buys one unit of what `next` names, again and again until it is over, but something in any case.
    pub async fn buy(&self, mut next: impl FnMut() -> String) -> Result<Known> {
        let (mut known, mut buyer) = (Known::default(), self.shop.guest().await?);
        let mut answered = false;
        while !answered || !self.is_over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let reply = buyer.buy(&next(), 1, GOOD_CARD).await?;
            known.longest = known.longest.max(asked.elapsed());
            answered |= matches!(reply.status, 201 | 409);
            match (reply.status, reply.problem()) {
                (201, _) => {
                    known.sold.insert(reply.id()?.to_owned());
                    self.sold.fetch_add(1, Ordering::Relaxed);
                }
                (409, "out-of-stock") => {
                    known.refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // Sessions are in Redis too.
                (401, _) => buyer = self.shop.guest().await?,
                (202 | 503, _) => known.unanswered += 1,
                _ => bail!("an odd answer: {reply:?}"),
            }
        }
        Ok(known)
    }
}
