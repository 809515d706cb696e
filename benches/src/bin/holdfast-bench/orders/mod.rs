//! Durable orders of one hot SKU: the lock design, one guarded transaction an order, and Holdfast.
//!
//! All three run on the same MariaDB and Redis, in turns. Payment takes no time in any of them: there is no provider.

mod guarded;
mod holdfast;
mod lock;
mod shop;

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::rounds::{self, Contender, Turn};
use shop::Shop;

/// How long the buyers of one turn go on.
const TURN: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;

/// Prints it for 64 and for 512 buyers.
pub fn measure() -> Result<()> {
    let runtime = Runtime::new()?;
    let shop = Arc::new(runtime.block_on(Shop::open())?);
    println!(
        "durable orders of one unit of one hot SKU, until they are confirmed; payment takes no time"
    );
    println!("  {}", runtime.block_on(shop.settings())?);
    let sold = Cell::new(0);
    for buyers in [64, 512] {
        println!("  {buyers} buyers, each with one order at a time");
        let counted = |turn: Result<Turn>| {
            let turn = turn?;
            sold.set(sold.get() + turn.operations);
            Ok(turn)
        };
        let mut contenders = [
            Contender::new("SETNX lock, SELECT FOR UPDATE, one tx an order", || {
                counted(runtime.block_on(rush(&shop, buyers, lock::buy)))
            }),
            Contender::new("one guarded transaction an order", || {
                counted(runtime.block_on(rush(&shop, buyers, guarded::buy)))
            }),
            Contender::new("Holdfast: held in Redis, group commit", || {
                counted(runtime.block_on(rush(&shop, buyers, holdfast::buy)))
            }),
        ];
        rounds::run(ROUNDS, &mut contenders)?;
    }
    // What was measured is what was sold, in every table.
    let (recorded, deducted) = runtime.block_on(shop.sold())?;
    let sold = sold.get();
    ensure!(
        recorded == sold && deducted == sold,
        "{sold} orders were measured, {recorded} are recorded, {deducted} units are gone"
    );
    println!("    all {sold} orders are in MySQL, and the stock is that much less");
    Ok(())
}

/// So many buyers who each buy again as soon as they have bought, for [`TURN`]. `buy` says how long the buyer waited.
async fn rush<F>(shop: &Arc<Shop>, buyers: usize, buy: fn(Arc<Shop>) -> F) -> Result<Turn>
where
    F: Future<Output = Result<Duration>> + Send + 'static,
{
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..buyers {
        let shop = shop.clone();
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while began.elapsed() < TURN {
                waits.push(buy(shop.clone()).await?);
            }
            anyhow::Ok(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(of_one) = tasks.join_next().await {
        waits.extend(of_one??);
    }
    Ok(Turn {
        operations: waits.len() as u64,
        elapsed: began.elapsed(),
        exchanges: waits,
    })
}
