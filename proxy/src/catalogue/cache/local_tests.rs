//! Readers, changes and refreshes in every order that a seed draws, over servers that lag.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use super::*;
use crate::catalogue::{Entry, Product};

/// One product on a primary, and what readers may still be told of it.
struct Shop {
    local: Local,
    sku: Sku,
    primary: Cell<i64>,
    reads: Cell<u32>,
    /// Whether what is heard is remembered, or only drops what is here.
    remembers: bool,
}

impl Shop {
    fn new(remembers: bool) -> Rc<Self> {
        Rc::new(Self {
            local: Local::new(1 << 20, Duration::from_secs(60)),
            sku: "TEA".parse().expect("a sku"),
            primary: Cell::new(1),
            reads: Cell::new(0),
            remembers,
        })
    }

    async fn change(&self) {
        let revision = self.primary.get() + 1;
        self.primary.set(revision);
        pause().await;
        if self.remembers {
            self.local.hear(&self.sku, revision).await;
        } else {
            self.local.readings.invalidate(&self.sku).await;
        }
    }

    /// From a replica that lags, and from the primary where that is older than what was heard of.
    async fn read(&self) -> Arc<Reading> {
        self.reads.set(self.reads.get() + 1);
        let (began, heard) = (Instant::now(), self.local.heard(&self.sku).await);
        let lagging = fastrand::i64(1..=self.primary.get());
        let revision = if lagging < heard {
            self.primary.get()
        } else {
            lagging
        };
        pause().await;
        reading(&self.sku, revision, began)
    }

    async fn look(&self) -> i64 {
        let read = || async { Ok::<_, Infallible>(self.read().await) };
        let found = self.local.get(&self.sku, read).await.expect("a reading");
        let (Found::Here(reading) | Found::Read(reading)) = found;
        reading.kept.revision
    }

    /// What is here now, if anything.
    async fn here(&self) -> Option<i64> {
        let reading = self.local.readings.get(&self.sku).await?;
        Some(reading.kept.revision)
    }
}

fn reading(sku: &Sku, revision: i64, began: Instant) -> Arc<Reading> {
    let product = Product::new(sku.clone(), "Tea", "", 895, "GBP").expect("a product");
    let entry = Entry {
        product,
        revision,
        retired: false,
    };
    Arc::new(Reading {
        kept: Kept::of(Some(entry)),
        began,
        took: Duration::ZERO,
    })
}

/// Lets the others run for a while.
async fn pause() {
    for _ in 0..fastrand::usize(0..12) {
        tokio::task::yield_now().await;
    }
}

/// What was seen that should not be, when the seed's order of things has ended.
async fn run(seed: u64, remembers: bool) -> Option<String> {
    fastrand::seed(seed);
    let shop = Shop::new(remembers);
    let tasks = tokio::task::LocalSet::new();
    let wrong = Rc::new(Cell::new(None));
    for _ in 0..24 {
        let (shop, wrong) = (shop.clone(), wrong.clone());
        let what = fastrand::u8(0..8);
        tasks.spawn_local(async move {
            pause().await;
            match what {
                0 | 1 => shop.change().await,
                2 => {
                    let reading = shop.read().await;
                    shop.local.renew(&shop.sku, reading).await;
                }
                _ => {
                    let heard = shop.local.heard(&shop.sku).await;
                    let seen = shop.look().await;
                    if seen < heard {
                        wrong.set(Some(format!(
                            "seed {seed}: {heard} was told and {seen} shown"
                        )));
                    }
                }
            }
        });
    }
    tasks.await;
    let here = shop.here().await;
    match wrong.take() {
        None if here.is_some_and(|here| here < shop.primary.get()) => Some(format!(
            "seed {seed}: {here:?} of {} stays",
            shop.primary.get()
        )),
        wrong => wrong,
    }
}

#[tokio::test]
async fn a_reading_that_was_overtaken_is_neither_shown_nor_kept() {
    for seed in 0..2_000 {
        assert_eq!(run(seed, true).await, None);
    }
}

#[tokio::test]
async fn without_remembering_what_was_heard_an_old_reading_stays() {
    let mut wrong = 0;
    for seed in 0..200 {
        wrong += u32::from(run(seed, false).await.is_some());
    }
    assert!(wrong > 0, "the runs above would see nothing either");
}

#[tokio::test]
async fn many_who_miss_read_once() {
    fastrand::seed(1);
    let shop = Shop::new(true);
    let looks = (0..1_000).map(|_| shop.look());
    let seen = futures::future::join_all(looks).await;
    assert_eq!((seen, shop.reads.get()), (vec![1; 1_000], 1));
}

#[tokio::test]
async fn what_began_before_everything_was_dropped_is_not_kept() {
    let shop = Shop::new(true);
    let before = reading(&shop.sku, 1, Instant::now());
    shop.local.clear();
    shop.local.renew(&shop.sku, before).await;
    assert_eq!(shop.here().await, None);
}

#[tokio::test]
async fn a_refresh_does_not_put_an_older_reading_in_the_place_of_a_newer_one() {
    let shop = Shop::new(true);
    for revision in [2, 1] {
        let reading = reading(&shop.sku, revision, Instant::now());
        shop.local.renew(&shop.sku, reading).await;
        assert_eq!(shop.here().await, Some(2));
    }
}

#[tokio::test]
async fn one_reads_anew_while_the_others_leave_it() {
    let shop = Shop::new(true);
    assert!(shop.local.begins_refresh(&shop.sku));
    assert!(!shop.local.begins_refresh(&shop.sku));
    shop.local.refreshed(&shop.sku);
    assert!(shop.local.begins_refresh(&shop.sku));
}
