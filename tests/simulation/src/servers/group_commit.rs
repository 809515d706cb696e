//! The decisions of group commit, asked of the tables as they stand.

use std::collections::BTreeMap;

use holdfast_proxy::orders::OrderLine;
use holdfast_proxy::store::admission;
use holdfast_proxy::store::committer::Recorded;
use holdfast_proxy::store::committer::sift::{Known, Newcomer, firsts, newcomers};
use uuid::Uuid;

use super::mysql::{MySql, Outcome, Reply, Transaction};
use crate::order::{self, Lines};

/// Which orders of a batch are to be written down, and what the others are told.
pub fn sift(mysql: &MySql, batch: &[Transaction]) -> Vec<Option<Reply>> {
    let mut known = Known::default();
    let mut names = Vec::new();
    for transaction in batch {
        if let Transaction::Record { order, key, .. } = transaction {
            if let Some(row) = mysql.order(*order) {
                known.add_order(order::uuid(*order), Some(saga(row.saga)));
            }
            let name = key.map(|key| key.to_string());
            if let Some(name) = key.and_then(|key| mysql.order_with(key)).and(name.as_ref()) {
                known.add_key(Uuid::nil(), name);
            }
            names.push(name);
        }
    }
    let batch: Vec<Newcomer<'_>> = (batch.iter().zip(&names))
        .filter_map(|(transaction, name)| match transaction {
            Transaction::Record {
                order,
                saga: number,
                ..
            } => Some(Newcomer {
                order: order::uuid(*order),
                saga: saga(*number),
                key: name.as_ref().map(|name| (Uuid::nil(), name.as_str())),
            }),
            _ => None,
        })
        .collect();
    let verdicts = newcomers(&batch, known).into_iter();
    verdicts
        .map(|verdict| {
            verdict.map(|recorded| match recorded {
                Recorded::Recorded => Reply::Done,
                Recorded::KeyTaken => Reply::KeyTaken,
                Recorded::OrderExists => Reply::OrderExists,
                Recorded::NotAllowed(_) => unreachable!("who sifts knows nothing of buyers"),
            })
        })
        .collect()
}

/// Which orders of a batch are refused for stock.
pub fn admit(mysql: &MySql, batch: &[Transaction]) -> Vec<Option<Reply>> {
    let commits: Vec<_> = (batch.iter())
        .filter_map(|transaction| match transaction {
            Transaction::Commit(order, lines) => Some((*order, lines)),
            _ => None,
        })
        .collect();
    let firsts = firsts(commits.iter().map(|(order, _)| order::uuid(*order)));
    let is_open = |at: usize| firsts[at] == at && mysql.outcome(commits[at].0).is_none();
    let open: Vec<usize> = (0..commits.len()).filter(|at| is_open(*at)).collect();
    let lines: Vec<Vec<OrderLine>> = open.iter().map(|at| order_lines(commits[*at].1)).collect();
    let asked: Vec<&[OrderLine]> = lines.iter().map(Vec::as_slice).collect();
    let stock: BTreeMap<String, i64> = (mysql.stock.iter().enumerate())
        .map(|(sku, stock)| (sku_name(sku), *stock))
        .collect();
    let admission = admission::admit(&stock, &asked);
    let mut verdicts = vec![None; commits.len()];
    for (at, verdict) in open.iter().zip(&admission.orders) {
        if verdict.is_err() {
            verdicts[*at] = Some(Reply::StockRefused);
        }
    }
    // A twin is told what its first is told; what is decided is found decided.
    for at in 0..commits.len() {
        if firsts[at] != at && mysql.outcome(commits[at].0) != Some(Outcome::Aborted) {
            verdicts[at] = verdicts[firsts[at]];
        }
    }
    verdicts
}

fn saga(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn sku_name(sku: usize) -> String {
    format!("SKU-{sku}")
}

fn order_lines(lines: &Lines) -> Vec<OrderLine> {
    let named = lines.iter().filter_map(|line| {
        Some(OrderLine {
            sku: sku_name(line.sku).parse().ok()?,
            quantity: line.quantity as i64,
            price_minor: 0,
            amount_minor: 0,
        })
    });
    named.collect()
}
