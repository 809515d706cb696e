//! Three Kafka brokers under a shop that sells all the time: one is killed, the controller, one hangs, two at once are
//! gone. No order waits for them, no event is lost, and none overtakes another one of its order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use holdfast_tests::books;
use holdfast_tests::data::Home;
use holdfast_tests::faults::rest;
use holdfast_tests::kafka::Kafka;
use holdfast_tests::saga_events::EventReader;
use holdfast_tests::shop::{GOOD_CARD, Shop};
use holdfast_tests::stack::{PARTITIONS, Stack, StackOptions, catalogue_of};
use holdfast_tests::wait;
use nix::sys::signal::Signal;
use sqlx::{Connection, MySqlConnection};
use tokio::task::JoinSet;

const SKU: &str = "LANTERN";
const STOCK: i64 = 100_000;
const BUYERS: usize = 3;
const PACE: Duration = Duration::from_millis(50);
/// Orders between one trouble and the next.
const MEANWHILE: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);

/// Buyers at work, and the orders that they were told are sold.
struct Buyers {
    sold: Arc<Mutex<BTreeSet<String>>>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

impl Buyers {
    async fn of(shop: &Shop) -> Result<Buyers> {
        let (sold, is_over) = (Arc::<Mutex<BTreeSet<String>>>::default(), Arc::default());
        let mut tasks = JoinSet::new();
        for _ in 0..BUYERS {
            let buyer = shop.guest().await?;
            let (sold, is_over) = (sold.clone(), Arc::<AtomicBool>::clone(&is_over));
            tasks.spawn(async move {
                let mut pace = tokio::time::interval(PACE);
                while !is_over.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let reply = buyer.buy(SKU, 1, GOOD_CARD).await?;
                    ensure!(reply.status == 201, "an order waits for Kafka: {reply:?}");
                    sold.lock().expect("orders").insert(reply.id()?.to_owned());
                }
                Ok(())
            });
        }
        Ok(Buyers {
            sold,
            is_over,
            tasks,
        })
    }

    fn sold(&self) -> usize {
        self.sold.lock().expect("orders").len()
    }

    /// Waits for some more orders. An order that is refused ends the wait.
    async fn go_on(&mut self) -> Result<()> {
        let wanted = self.sold() + MEANWHILE;
        let sold = self.sold.clone();
        let selling = wait::until_async("orders to go on", PATIENCE, async || {
            Ok((sold.lock().expect("orders").len() >= wanted).then_some(()))
        });
        tokio::select! {
            sold = selling => sold,
            Some(ended) = self.tasks.join_next() => ended?.and(Err(anyhow!("a buyer went"))),
        }
    }

    async fn end(mut self) -> Result<BTreeSet<String>> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(std::mem::take(&mut self.sold.lock().expect("orders")))
    }
}

/// Waits until Kafka has every event that is there in a moment, while orders go on.
async fn until_told(stack: &Stack) -> Result<()> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let newest: Option<i64> = wait::until_async("an event to wait", PATIENCE, async || {
        let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
        let newest = sqlx::query_scalar("SELECT MAX(id) FROM outbox");
        Ok(newest.fetch_one(&mut mysql).await?)
    })
    .await
    .map(Some)?;
    let since = Instant::now();
    wait::until("events to be told", PATIENCE, || {
        let oldest = sqlx::query_scalar("SELECT MIN(id) FROM outbox").fetch_one(&mut mysql);
        let oldest: Option<i64> = futures::executor::block_on(oldest)?;
        Ok((oldest.is_none() || oldest > newest).then_some(()))
    })?;
    println!("what waited was told within {:?}", since.elapsed());
    Ok(())
}

async fn waiting(stack: &Stack) -> Result<i64> {
    let mut mysql = MySqlConnection::connect(&stack.database_url()).await?;
    let rows = sqlx::query_scalar("SELECT COUNT(*) FROM outbox");
    Ok(rows.fetch_one(&mut mysql).await?)
}

/// Starts what was killed, and waits until it has caught up.
fn restore(stack: &Stack) -> Result<()> {
    stack.kafka.start()?;
    wait::until("the replicas to catch up", PATIENCE, || {
        Ok(stack
            .kafka
            .is_in_sync(stack.topic())
            .unwrap_or(false)
            .then_some(()))
    })
}

/// The broker whose log tells last that it leads the others.
fn controller(kafka: &Kafka) -> Result<usize> {
    let mut newest = None;
    for number in 0..kafka.count() {
        let log = std::fs::read_to_string(kafka.broker(number)?.home().path("log"))?;
        let mark = "Completed transition to Leader(";
        let epochs = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once(mark)?.1.split_once("epoch=")?;
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<u64>()
                .ok()
        });
        newest = newest.max(epochs.max().map(|epoch| (epoch, number)));
    }
    Ok(newest
        .context("no broker says that it is the controller")?
        .1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn brokers_may_die_and_hang_and_no_event_is_lost_or_overtaken() -> Result<()> {
    let stack = Stack::start(StackOptions {
        kafka_brokers: 3,
        catalogue: Some(catalogue_of(&[SKU])?),
        ..StackOptions::default()
    })?;
    let shop = Shop::of(&stack.proxy);
    shop.set_stock(SKU, STOCK).await?;
    let mut buyers = Buyers::of(&shop).await?;
    buyers.go_on().await?;
    restore(&stack)?;

    // One that leads some partitions and follows in the others, but not the controller.
    let controls = controller(&stack.kafka)?;
    let other = (controls + 1) % 3;
    stack.kafka.broker(other)?.kill()?;
    until_told(&stack).await?;
    buyers.go_on().await?;
    until_told(&stack).await?;
    for partition in 0..PARTITIONS {
        assert_ne!(stack.kafka.leader(stack.topic(), partition)?, Some(other));
    }
    restore(&stack)?;

    stack.kafka.broker(controls)?.kill()?;
    until_told(&stack).await?;
    buyers.go_on().await?;
    until_told(&stack).await?;
    assert_ne!(controller(&stack.kafka)?, controls, "another one took over");
    restore(&stack)?;

    // One that leads hangs, and comes back as if nothing had been.
    let led = stack.kafka.leader(stack.topic(), 0)?;
    let hung = stack.kafka.broker(led.context("nobody leads")?)?;
    hung.signal(Signal::SIGSTOP)?;
    buyers.go_on().await?;
    let told = until_told(&stack).await;
    hung.signal(Signal::SIGCONT)?;
    told?;
    restore(&stack)?;

    // Of two replicas that an event needs there is one.
    for number in [0, 1] {
        stack.kafka.broker(number)?.kill()?;
    }
    buyers.go_on().await?;
    let before = waiting(&stack).await?;
    buyers.go_on().await?;
    assert!(waiting(&stack).await? >= before + 3 * MEANWHILE as i64);
    restore(&stack)?;
    until_told(&stack).await?;

    let sold = buyers.end().await?;
    all_is_told(&stack, &sold)?;
    let file = Home::for_test("acknowledged")?.path("orders");
    std::fs::write(&file, sold.into_iter().collect::<Vec<_>>().join("\n"))?;
    let verdict = rest::audit(&stack, Some(&file))?;
    assert!(
        verdict.contains("SOUND: every invariant holds"),
        "{verdict}"
    );
    Ok(())
}

/// The events of each order came, each for the first time, in the order of a sale.
fn all_is_told(stack: &Stack, sold: &BTreeSet<String>) -> Result<()> {
    let reader = EventReader::from_start(stack.kafka.brokers(), stack.topic())?;
    let mut seen = BTreeSet::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut repeated = 0;
    let came = wait::until("the events of all orders", PATIENCE / 2, || {
        while let Some(event) = reader.next(Duration::from_millis(200))? {
            match seen.insert(event.id) {
                true => told.entry(event.key).or_default().push(event.event_type),
                false => repeated += 1,
            }
        }
        let is_whole = |order| {
            told.get(order)
                .is_some_and(|told| told.len() >= books::SOLD.len())
        };
        Ok(sold.iter().all(is_whole).then_some(()))
    });
    for order in sold {
        let told = told.get(order).map_or(&[][..], Vec::as_slice);
        ensure!(told == books::SOLD, "of {order} came {told:?}");
    }
    came?;
    println!(
        "{} orders, {} events, {repeated} of them twice",
        sold.len(),
        seen.len()
    );
    Ok(())
}
