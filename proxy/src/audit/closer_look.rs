//! Second looks, at what was in motion when the servers were read one after the other.
//!
//! The two counts of a SKU can be compared when MySQL was read between two looks at Redis that found
//! the same `seq`: then Redis was all the while as it was at MySQL's moment.

use std::collections::HashMap;

use sqlx::mysql::MySqlConnection;
use sqlx::{MySql, QueryBuilder, Row};
use uuid::Uuid;

use super::Error;
use super::evidence::orders::{Hold, Outcome};
use super::evidence::stock::{Comparison, Ledger};
use super::evidence::{Evidence, LiveHold};
use super::mysql;
use super::redis::Redis;

/// How many SKUs are looked at together, try after try. The fewer, the shorter the time in which
/// none of them may move.
const SKUS_AT_ONCE: [usize; 12] = [256, 64, 16, 4, 1, 1, 1, 1, 1, 1, 1, 1];

/// The module forgets a finished hold after an hour; this leaves room for clocks that differ.
const REMEMBERED_MS: i64 = 50 * 60 * 1000;

/// Compares each SKU by what was read, and looks again at those that moved, differ or have anything
/// in flight. `again` are the ledgers as of right after MySQL's snapshot began.
pub async fn compare(
    again: &[Option<Ledger>],
    mysql: &mut MySqlConnection,
    redis: &mut Redis,
    evidence: &mut Evidence,
) -> Result<(), Error> {
    let in_flight = skus_in_flight(evidence);
    let mut left = Vec::new();
    for (place, is_in_flight) in in_flight.into_iter().enumerate() {
        let stock = evidence.stocks.at_mut(place);
        let now = again.get(place).copied().flatten();
        stock.comparison = Comparison {
            is_still: now == stock.ledger && place < again.len(),
            on_hand: now.map(|ledger| ledger.on_hand),
            held: now.map_or(0, |ledger| ledger.held),
            stock: stock.stock,
            ..Comparison::default()
        };
        let is_quiet = !is_in_flight && stock.log.unacknowledged == 0;
        if !(stock.comparison.is_still && is_quiet && stock.comparison.agrees()) {
            left.push(place);
        }
    }
    for size in SKUS_AT_ONCE {
        let mut moved = Vec::new();
        for places in left.chunks(size) {
            let names: Vec<Box<str>> = places
                .iter()
                .map(|place| evidence.stocks.at(*place).name.clone())
                .collect();
            let comparisons = look(&names, mysql, redis).await?;
            for (place, comparison) in places.iter().zip(comparisons) {
                evidence.stocks.at_mut(*place).comparison = comparison;
                if !comparison.is_still {
                    moved.push(*place);
                }
            }
        }
        left = moved;
    }
    Ok(())
}

fn skus_in_flight(evidence: &Evidence) -> Vec<bool> {
    let mut in_flight = vec![false; evidence.stocks.len()];
    for order in evidence
        .orders
        .iter()
        .filter(|order| !order.settled && order.was_sold())
    {
        for line in evidence.orders.lines(order) {
            in_flight[line.sku] = true;
        }
    }
    in_flight
}

/// Compares a few SKUs: Redis, MySQL, Redis.
async fn look(
    names: &[Box<str>],
    mysql: &mut MySqlConnection,
    redis: &mut Redis,
) -> Result<Vec<Comparison>, Error> {
    let before = redis.ledgers(names).await?;
    mysql::begin(mysql).await?;
    let truth = read_truth(names, mysql).await;
    sqlx::raw_sql("COMMIT").execute(&mut *mysql).await?;
    let (mut comparisons, sales) = truth?;
    let asked: Vec<(&str, String)> = sales
        .iter()
        .map(|sale| (sale.sku.as_str(), sale.order.to_string()))
        .collect();
    let holds = redis.holds(&asked).await?;
    let after = redis.ledgers(names).await?;
    for (sale, hold) in sales.iter().zip(holds) {
        if let Some(comparison) = comparisons.get_mut(sale.sku.as_str()) {
            match hold {
                Hold::Confirmed => {}
                Hold::Unknown if sale.age_ms > REMEMBERED_MS => {
                    comparison.perhaps_unconfirmed += sale.units
                }
                _ => comparison.unconfirmed += sale.units,
            }
        }
    }
    let looked = names.iter().zip(before.iter().zip(&after));
    Ok(looked
        .map(|(name, (before, after))| Comparison {
            is_still: before.map(|ledger| ledger.seq) == after.map(|ledger| ledger.seq),
            on_hand: after.map(|ledger| ledger.on_hand),
            held: after.map_or(0, |ledger| ledger.held),
            ..comparisons.get(name.as_ref()).copied().unwrap_or_default()
        })
        .collect())
}

/// A line of an order that is sold and not settled: Redis may have confirmed it or not.
struct Sale {
    sku: String,
    order: Uuid,
    units: i64,
    age_ms: i64,
}

async fn read_truth<'a>(
    names: &'a [Box<str>],
    mysql: &mut MySqlConnection,
) -> Result<(HashMap<&'a str, Comparison>, Vec<Sale>), Error> {
    let mut comparisons: HashMap<&str, Comparison> = names
        .iter()
        .map(|name| (name.as_ref(), Comparison::default()))
        .collect();
    let stocks = among("SELECT sku, stock FROM products WHERE sku IN ", names);
    for row in fetch(stocks, mysql).await? {
        if let Some(comparison) = comparisons.get_mut(row.try_get::<&str, _>(0)?) {
            comparison.stock = Some(row.try_get(1)?);
        }
    }
    let changes = among(
        "SELECT sku, delta FROM inventory_logs WHERE acknowledged_at IS NULL AND sku IN ",
        names,
    );
    for row in fetch(changes, mysql).await? {
        let delta: i64 = row.try_get(1)?;
        if let Some(comparison) = comparisons.get_mut(row.try_get::<&str, _>(0)?) {
            comparison.perhaps_added += delta.max(0);
            comparison.perhaps_taken += delta.min(0);
        }
    }
    let sales = among(
        "SELECT l.sku, o.id, l.quantity, CAST(TIMESTAMPDIFF(MICROSECOND, h.decided_at, NOW(3)) / 1000 AS SIGNED) \
         FROM orders o JOIN hold_outcomes h ON h.order_id = o.id JOIN order_lines l ON l.order_id = o.id \
         WHERE o.settled = 0 AND h.outcome = 'COMMITTED' AND l.sku IN ",
        names,
    );
    let sales = fetch(sales, mysql).await?;
    let sales = sales.iter().map(|row| {
        Ok(Sale {
            sku: row.try_get(0)?,
            order: row.try_get(1)?,
            units: row.try_get(2)?,
            age_ms: row.try_get(3)?,
        })
    });
    Ok((comparisons, sales.collect::<Result<_, sqlx::Error>>()?))
}

fn among(select: &str, names: &[Box<str>]) -> QueryBuilder<MySql> {
    let mut query = QueryBuilder::new(select);
    query.push_tuples(names, |mut row, name| {
        row.push_bind(name.to_string());
    });
    query
}

async fn fetch(
    mut query: QueryBuilder<MySql>,
    mysql: &mut MySqlConnection,
) -> Result<Vec<sqlx::mysql::MySqlRow>, Error> {
    Ok(query.build().fetch_all(mysql).await?)
}

/// Looks again at live holds whose order does not explain them: it may have ended them meanwhile.
pub async fn at_holds(redis: &mut Redis, evidence: &mut Evidence) -> Result<(), Error> {
    let in_question: Vec<usize> = (0..evidence.holds.len())
        .filter(|place| !is_explained(evidence, &evidence.holds[*place]))
        .collect();
    let asked: Vec<(&str, String)> = in_question
        .iter()
        .map(|place| &evidence.holds[*place])
        .map(|hold| (&*evidence.stocks.at(hold.sku).name, hold.id.text()))
        .collect();
    let states = redis.holds(&asked).await?;
    for (place, state) in in_question.into_iter().zip(states) {
        evidence.holds[place].stays = state == Hold::Live;
    }
    Ok(())
}

fn is_explained(evidence: &Evidence, hold: &LiveHold) -> bool {
    match evidence.order_of(hold) {
        Some(order) => !order.settled,
        None => !hold.prepared,
    }
}

/// Asks what Redis remembers of the lines of settled orders that were decided while it remembers.
pub async fn at_outcomes(redis: &mut Redis, evidence: &mut Evidence) -> Result<(), Error> {
    let newest = evidence
        .orders
        .iter()
        .map(|order| order.decided_ms)
        .max()
        .unwrap_or_default();
    let lately = |decided_ms: i64| decided_ms > newest - REMEMBERED_MS;
    let mut asked = Vec::new();
    for order in evidence.orders.iter() {
        let is_decided = matches!(order.outcome, Some(Outcome::Committed | Outcome::Aborted));
        if order.settled && is_decided && lately(order.decided_ms) {
            asked.extend(
                evidence
                    .orders
                    .lines(order)
                    .iter()
                    .map(|line| (order.id, line.sku)),
            );
        }
    }
    for batch in asked.chunks(10_000) {
        let commands: Vec<(&str, String)> = batch
            .iter()
            .map(|(id, sku)| (&*evidence.stocks.at(*sku).name, id.to_string()))
            .collect();
        let states = redis.holds(&commands).await?;
        for ((id, sku), state) in batch.iter().zip(states) {
            if let Some(line) = evidence.orders.line_mut(*id, *sku) {
                line.hold = state;
            }
        }
    }
    Ok(())
}
