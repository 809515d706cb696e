//! The products of which there is little or nothing left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::{NotShown, Shown};
use crate::catalogue::Sku;
use crate::gateway::Gateway;
use crate::gateway::inventory::Stock;
use crate::store::Store;

/// Products looked at in one go.
const AT_ONCE: u32 = 500;
/// How often for one page, so that a shop in which nothing is short is not walked through at once.
const LOOKS: u32 = 10;

/// How short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No more can be held than the threshold says; what is sold out is low too.
    Low,
    /// Nothing can be held.
    SoldOut,
}

/// A product that is short.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShortStock")]
pub struct Short {
    /// What people call it.
    pub name: String,
    /// How much there is of it.
    #[serde(flatten)]
    pub shown: Shown,
}

/// A part of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShortStockPage")]
pub struct Page {
    /// By SKU. There may be few or none before the end: a part looks at so many products at most.
    pub products: Vec<Short>,
    /// The `after` of the next part; null at the end.
    pub next: Option<Sku>,
}

impl State {
    /// Whether a product of which so many units are available is as short as this.
    pub fn includes(self, available: i64, threshold: i64) -> bool {
        match self {
            State::Low => available <= threshold,
            State::SoldOut => available <= 0,
        }
    }
}

/// The products behind `after` that are so short, at most `limit`. One whose count Redis has lost
/// is left out until it is back.
pub async fn page(
    gateway: &Gateway,
    store: &Store,
    (state, threshold): (State, i64),
    after: Option<Sku>,
    limit: usize,
) -> Result<Page, NotShown> {
    let (mut products, mut looked_at) = (Vec::new(), after);
    for _ in 0..LOOKS {
        let rows = store.stock_page(looked_at.as_ref(), AT_ONCE).await?;
        let skus: Vec<&Sku> = rows.iter().map(|(sku, ..)| sku).collect();
        let stocks = gateway.stocks(&skus).await?;
        let is_end = rows.len() < AT_ONCE as usize;
        looked_at = rows.last().map(|(sku, ..)| sku.clone());
        for ((sku, name, unsold), stock) in rows.into_iter().zip(stocks) {
            // Without a count and without a unit: never stocked, or sold out and forgotten.
            let stock = stock.or((unsold == 0).then(Stock::default));
            if let Some(stock) = stock
                && state.includes(stock.available, threshold)
            {
                let shown = Shown { sku, stock };
                products.push(Short { name, shown });
            }
        }
        if is_end || products.len() > limit {
            return Ok(cut(products, None, limit));
        }
    }
    Ok(cut(products, looked_at, limit))
}

/// The first `limit` of what was found, and where to go on: behind them if there are more.
fn cut(mut products: Vec<Short>, looked_at: Option<Sku>, limit: usize) -> Page {
    if products.len() <= limit {
        return Page {
            products,
            next: looked_at,
        };
    }
    products.truncate(limit);
    let next = products.last().map(|last| last.shown.sku.clone());
    Page { products, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(skus: &[&str]) -> Vec<Short> {
        let short = |sku: &&str| Short {
            name: String::new(),
            shown: Shown {
                sku: sku.parse().expect("a sku"),
                stock: Stock::default(),
            },
        };
        skus.iter().map(short).collect()
    }

    #[test]
    fn low_is_up_to_the_threshold_and_sold_out_is_nothing() {
        for (available, low, sold_out) in [(0, true, true), (5, true, false), (6, false, false)] {
            assert_eq!(State::Low.includes(available, 5), low, "{available}");
            assert_eq!(
                State::SoldOut.includes(available, 5),
                sold_out,
                "{available}"
            );
        }
    }

    #[test]
    fn a_page_goes_on_behind_what_it_shows_or_has_looked_at() {
        let next = |skus: &[&str], looked_at: Option<&str>| {
            let looked_at = looked_at.map(|sku| sku.parse().expect("a sku"));
            let page = cut(short(skus), looked_at, 2);
            (page.products.len(), page.next.map(String::from))
        };
        assert_eq!(next(&["A", "B", "C"], Some("Z")), (2, Some("B".into())));
        assert_eq!(
            next(&["A", "B"], None),
            (2, None),
            "exactly full, and the end"
        );
        assert_eq!(next(&[], Some("Z")), (0, Some("Z".into())));
    }
}
