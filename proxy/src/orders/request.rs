//! From what a buyer asks for to the lines of an order. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::OrderLine;
use crate::catalogue::{Product, Sku};

/// An order or hold may have this many different SKUs.
pub const MAX_LINES: usize = 1_000;
/// A line may ask for this many units.
pub const MAX_QUANTITY: i64 = 1_000_000;

/// One thing a buyer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What.
    pub sku: Sku,
    /// How many, from 1 to [`MAX_QUANTITY`].
    #[schemars(
        description = "How many.",
        range(min = 1, max = MAX_QUANTITY),
        extend("examples" = [1])
    )]
    pub quantity: i64,
}

/// Why items make no order. The text is for the buyer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nothing was asked for.
    #[error("items must name at least one product")]
    Empty,
    /// Too many different products.
    #[error("an order may have at most {MAX_LINES} different products, not {0}")]
    TooManyLines(usize),
    /// Several lines ask for too much of one product together.
    #[error("the quantities of {sku} come to {sum}, and may come to {MAX_QUANTITY} at most")]
    TooMany {
        /// Of which product.
        sku: Sku,
        /// As summed up.
        sum: i64,
    },
    /// A quantity is out of range.
    #[error("the quantity of {sku} must be from 1 to {MAX_QUANTITY}, not {quantity}")]
    Quantity {
        /// Of which product.
        sku: Sku,
        /// As asked for.
        quantity: i64,
    },
    /// Products that the shop does not have.
    #[error("there is no product {}", list(.0))]
    UnknownProducts(Vec<Sku>),
    /// Products priced in different currencies.
    #[error("the products are priced in different currencies; order them apart")]
    Currencies,
    /// The total is beyond what an order can hold.
    #[error("the total is too large; order less at once")]
    TooLarge,
}

/// The largest total, as DECIMAL(14,2) holds it.
const MAX_TOTAL_MINOR: i64 = 99_999_999_999_999;

/// Sums up the items by SKU, in SKU order, each quantity checked.
pub fn gather(items: &[Item]) -> Result<Vec<Item>, RequestError> {
    let mut quantities: BTreeMap<&Sku, i64> = BTreeMap::new();
    for Item { sku, quantity } in items {
        let sum = quantities.entry(sku).or_default();
        let allowed = 1..=MAX_QUANTITY;
        *sum = sum.saturating_add(*quantity);
        let (sku, sum) = (sku.clone(), *sum);
        if !allowed.contains(quantity) {
            let quantity = *quantity;
            return Err(RequestError::Quantity { sku, quantity });
        }
        if !allowed.contains(&sum) {
            return Err(RequestError::TooMany { sku, sum });
        }
    }
    match quantities.len() {
        0 => Err(RequestError::Empty),
        lines if lines > MAX_LINES => Err(RequestError::TooManyLines(lines)),
        _ => Ok(quantities
            .into_iter()
            .map(|(sku, quantity)| Item {
                sku: sku.clone(),
                quantity,
            })
            .collect()),
    }
}

/// What gathered items cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// In SKU order, each SKU once.
    pub lines: Vec<OrderLine>,
    /// The sum of all lines, minor units.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Prices gathered items with what the catalogue says.
pub fn price(items: &[Item], products: &[Product]) -> Result<Priced, RequestError> {
    let known: BTreeMap<&Sku, &Product> = products
        .iter()
        .map(|product| (&product.sku, product))
        .collect();
    let unknown: Vec<Sku> = items
        .iter()
        .map(|item| &item.sku)
        .filter(|sku| !known.contains_key(sku))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(RequestError::UnknownProducts(unknown));
    }
    let mut total_minor: i64 = 0;
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        let price_minor = known[&item.sku].price_minor;
        let amount_minor = price_minor
            .checked_mul(item.quantity)
            .ok_or(RequestError::TooLarge)?;
        total_minor = total_minor
            .checked_add(amount_minor)
            .ok_or(RequestError::TooLarge)?;
        lines.push(OrderLine {
            sku: item.sku.clone(),
            quantity: item.quantity,
            price_minor,
            amount_minor,
        });
    }
    if total_minor > MAX_TOTAL_MINOR {
        return Err(RequestError::TooLarge);
    }
    let mut currencies = items.iter().map(|item| &known[&item.sku].currency);
    let currency = currencies.next().ok_or(RequestError::Empty)?;
    if currencies.any(|other| other != currency) {
        return Err(RequestError::Currencies);
    }
    Ok(Priced {
        lines,
        total_minor,
        currency: currency.clone(),
    })
}

fn list(skus: &[Sku]) -> String {
    skus.iter().map(Sku::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sku: &str, quantity: i64) -> Item {
        Item {
            sku: sku.parse().expect("a sku of the test"),
            quantity,
        }
    }

    fn product(sku: &str, price_minor: i64, currency: &str) -> Product {
        Product {
            sku: sku.parse().expect("a sku of the test"),
            name: String::new(),
            description: String::new(),
            price_minor,
            currency: currency.to_owned(),
            buyer_limit: None,
        }
    }

    #[test]
    fn the_same_sku_twice_is_one_line() {
        let gathered = gather(&[item("B", 1), item("a", 2), item("b", 3)]);
        assert_eq!(gathered, Ok(vec![item("A", 2), item("B", 4)]));
    }

    #[test]
    fn quantities_out_of_range_are_refused_alone_and_in_sum() {
        for quantity in [0, -1, i64::MIN, i64::MAX, MAX_QUANTITY + 1] {
            assert!(matches!(
                gather(&[item("A", quantity)]),
                Err(RequestError::Quantity { .. })
            ));
        }
        let halves = [item("A", MAX_QUANTITY), item("A", 1)];
        let too_many = RequestError::TooMany {
            sku: "A".parse().expect("a sku"),
            sum: MAX_QUANTITY + 1,
        };
        assert_eq!(gather(&halves), Err(too_many));
        assert_eq!(gather(&[]), Err(RequestError::Empty));
    }

    #[test]
    fn the_total_is_the_sum_of_price_times_quantity() {
        let items = [item("A", 3), item("B", 2)];
        let priced = price(&items, &[product("B", 10, "GBP"), product("A", 255, "GBP")]);
        let priced = priced.expect("both are known");
        assert_eq!(
            (priced.lines[0].amount_minor, priced.lines[1].amount_minor),
            (765, 20)
        );
        assert_eq!((priced.total_minor, priced.currency.as_str()), (785, "GBP"));
    }

    #[test]
    fn what_cannot_be_priced_is_refused() {
        let gbp = product("A", 255, "GBP");
        assert_eq!(
            price(&[item("A", 1), item("B", 1)], std::slice::from_ref(&gbp)),
            Err(RequestError::UnknownProducts(vec![item("B", 1).sku]))
        );
        let mixed = price(
            &[item("A", 1), item("B", 1)],
            &[gbp, product("B", 1, "EUR")],
        );
        assert_eq!(mixed, Err(RequestError::Currencies));
        let dear = price(
            &[item("A", MAX_QUANTITY)],
            &[product("A", i64::MAX / 2, "GBP")],
        );
        assert_eq!(dear, Err(RequestError::TooLarge));
    }
}
