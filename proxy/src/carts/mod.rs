//! What a cart is: SKUs and quantities, priced only when it is looked at. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalogue::{Product, Sku, amount_minor};

pub use crate::orders::{MAX_LINES, MAX_QUANTITY};

/// A cart as its owner sees it.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Cart")]
pub struct PricedCart {
    /// By SKU.
    pub lines: Vec<PricedLine>,
    /// The sum of the lines that can be bought, minor units; null where they are priced in
    /// different currencies or come to more than can be counted.
    pub total_minor: Option<i64>,
    /// The currency of all lines, if they have one in common.
    pub currency: Option<String>,
}

/// One line of a cart.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CartLine")]
pub struct PricedLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: i64,
    /// Units that could be held now; null where that is not known.
    pub available: Option<i64>,
    /// What the catalogue says of it; `None` when the product is gone.
    #[serde(flatten)]
    pub offer: Option<Offer>,
    /// True when the catalogue no longer has the product, so that the line cannot be bought.
    pub gone: bool,
}

/// What a line costs now.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Offer {
    /// What people call it.
    pub name: String,
    /// The price of one unit, minor units.
    pub price_minor: i64,
    /// The price of all, minor units; null when beyond what can be counted.
    pub amount_minor: Option<i64>,
}

/// Prices the entries of a cart with what the catalogue and the gate say of them.
pub fn price(
    entries: &[(Sku, i64)],
    products: &[Product],
    available: &BTreeMap<Sku, i64>,
) -> PricedCart {
    let known: BTreeMap<&Sku, &Product> = products
        .iter()
        .map(|product| (&product.sku, product))
        .collect();
    let lines = entries.iter().map(|(sku, quantity)| {
        let product = known.get(sku);
        PricedLine {
            sku: sku.clone(),
            quantity: *quantity,
            available: available.get(sku).copied(),
            offer: product.map(|product| offer(product, *quantity)),
            gone: product.is_none(),
        }
    });
    let lines: Vec<PricedLine> = lines.collect();
    let mut currencies = entries
        .iter()
        .filter_map(|(sku, _)| known.get(sku))
        .map(|product| &product.currency);
    let first = currencies.next();
    let in_common = first.filter(|first| currencies.all(|other| other == *first));
    let has_one_currency = first.is_none() || in_common.is_some();
    PricedCart {
        total_minor: if has_one_currency {
            total(&lines)
        } else {
            None
        },
        currency: in_common.cloned(),
        lines,
    }
}

fn offer(product: &Product, quantity: i64) -> Offer {
    Offer {
        name: product.name.clone(),
        price_minor: product.price_minor,
        amount_minor: amount_minor(product.price_minor, quantity),
    }
}

fn total(lines: &[PricedLine]) -> Option<i64> {
    let mut amounts = lines
        .iter()
        .filter_map(|line| line.offer.as_ref())
        .map(|offer| offer.amount_minor);
    amounts.try_fold(0_i64, |sum, amount| sum.checked_add(amount?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sku(number: usize) -> Sku {
        format!("S{number}").parse().expect("a sku")
    }

    fn product(number: usize, price_minor: i64, currency: &str) -> Product {
        Product::new(sku(number), "thing", "", price_minor, currency).expect("a product")
    }

    #[test]
    fn an_empty_cart_costs_nothing_in_no_currency() {
        let cart = price(&[], &[], &BTreeMap::new());
        assert_eq!((cart.total_minor, cart.currency), (Some(0), None));
    }

    #[test]
    fn a_product_that_is_gone_stays_visible_and_costs_nothing() {
        let cart = price(
            &[(sku(1), 2), (sku(2), 3)],
            &[product(2, 150, "GBP")],
            &BTreeMap::from([(sku(2), 9)]),
        );
        assert_eq!(cart.total_minor, Some(450));
        assert!(cart.lines[0].gone && cart.lines[0].offer.is_none());
        assert_eq!(cart.lines[1].available, Some(9));
        let json = serde_json::to_value(&cart.lines[1]).expect("json");
        assert_eq!(json["amount_minor"], 450);
    }

    #[test]
    fn different_currencies_have_no_total() {
        let products = [product(1, 1, "GBP"), product(2, 1, "EUR")];
        let cart = price(&[(sku(1), 1), (sku(2), 1)], &products, &BTreeMap::new());
        assert_eq!((cart.total_minor, cart.currency), (None, None));
    }

    proptest! {
        #[test]
        fn the_total_is_exact_or_none(lines in proptest::collection::vec(
            (1..=MAX_QUANTITY, 0..=crate::catalogue::MAX_PRICE_MINOR), 0..1200,
        )) {
            let entries: Vec<_> = lines.iter().enumerate().map(|(n, (quantity, _))| (sku(n), *quantity)).collect();
            let products: Vec<_> = lines.iter().enumerate().map(|(n, (_, price))| product(n, *price, "GBP")).collect();
            let exact: i128 = lines.iter().map(|(q, p)| i128::from(*q) * i128::from(*p)).sum();
            let cart = price(&entries, &products, &BTreeMap::new());
            prop_assert_eq!(cart.total_minor, i64::try_from(exact).ok());
        }
    }
}
