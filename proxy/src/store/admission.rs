//! Who gets what is left, when orders together may ask for more stock than there is. Pure.

use std::collections::BTreeMap;

use crate::catalogue::Sku;
use crate::orders::OrderLine;

/// What becomes of orders that are to be confirmed in one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission<'a> {
    /// One verdict an order: the stock after each of its lines, or the first SKU of which there
    /// is too little.
    pub orders: Vec<Result<Vec<i64>, &'a Sku>>,
    /// What all admitted orders take together, SKUs sorted.
    pub taken: BTreeMap<&'a Sku, i64>,
}

/// Admits in order of arrival what fits into `stock`. An order is admitted with all of its lines
/// or takes nothing, so that a smaller one behind it may still fit. A SKU that is missing in
/// `stock` has none.
pub fn admit<'a>(stock: &BTreeMap<String, i64>, orders: &[&'a [OrderLine]]) -> Admission<'a> {
    let mut taken: BTreeMap<&'a Sku, i64> = BTreeMap::new();
    let mut verdicts = Vec::with_capacity(orders.len());
    for lines in orders {
        let left = |line: &OrderLine| {
            let stock = stock.get(line.sku.as_str()).copied().unwrap_or_default();
            stock - taken.get(&line.sku).copied().unwrap_or_default()
        };
        let verdict = match lines.iter().find(|line| line.quantity > left(line)) {
            Some(line) => Err(&line.sku),
            None => Ok(lines
                .iter()
                .map(|line| left(line) - line.quantity)
                .collect()),
        };
        if verdict.is_ok() {
            for line in *lines {
                *taken.entry(&line.sku).or_default() += line.quantity;
            }
        }
        verdicts.push(verdict);
    }
    Admission {
        orders: verdicts,
        taken,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SKUS: [&str; 3] = ["A", "B", "C"];

    fn lines(wanted: &[(&str, i64)]) -> Vec<OrderLine> {
        let line = |&(sku, quantity): &(&str, i64)| OrderLine {
            sku: sku.parse().expect("a sku"),
            quantity,
            price_minor: 100,
            amount_minor: 100 * quantity,
        };
        wanted.iter().map(line).collect()
    }

    fn stock(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
        of.iter()
            .map(|&(sku, stock)| (sku.to_owned(), stock))
            .collect()
    }

    #[test]
    fn those_who_came_first_are_served_and_a_small_one_still_fits() {
        let orders = [
            lines(&[("A", 2)]),
            lines(&[("A", 2)]),
            lines(&[("A", 1), ("B", 1)]),
            lines(&[("A", 1)]),
        ];
        let asked: Vec<&[OrderLine]> = orders.iter().map(Vec::as_slice).collect();
        let stock = stock(&[("A", 3), ("B", 1)]);
        let admission = admit(&stock, &asked);
        let a = &orders[0][0].sku;
        assert_eq!(
            admission.orders,
            [Ok(vec![1]), Err(a), Ok(vec![0, 0]), Err(a)]
        );
        let taken: Vec<i64> = admission.taken.values().copied().collect();
        assert_eq!(taken, [3, 1]);
    }

    #[test]
    fn a_refused_order_takes_nothing_of_its_other_lines() {
        let orders = [lines(&[("A", 1), ("B", 1)]), lines(&[("A", 1)])];
        let asked: Vec<&[OrderLine]> = orders.iter().map(Vec::as_slice).collect();
        let stock = stock(&[("A", 1)]);
        let admission = admit(&stock, &asked);
        assert_eq!(admission.orders, [Err(&orders[0][1].sku), Ok(vec![0])]);
    }

    /// What must be true of any admission, found out by serving one after the other.
    fn is_sound(
        stock: &BTreeMap<String, i64>,
        orders: &[&[OrderLine]],
        admission: &Admission<'_>,
    ) -> bool {
        let mut left = stock.clone();
        let mut of = |line: &OrderLine, take: i64| {
            let left = left.entry(line.sku.to_string()).or_default();
            *left -= take;
            *left
        };
        let all_as_alone =
            std::iter::zip(orders, &admission.orders).all(|(lines, verdict)| match verdict {
                Ok(after) => std::iter::zip(*lines, after)
                    .all(|(line, after)| of(line, line.quantity) == *after && *after >= 0),
                Err(sku) => lines
                    .iter()
                    .any(|line| line.sku == **sku && line.quantity > of(line, 0)),
            });
        let sums = admission.taken.iter().all(|(sku, taken)| {
            let before = stock.get(sku.as_str()).copied().unwrap_or_default();
            before - taken == left.get(sku.as_str()).copied().unwrap_or_default()
        });
        all_as_alone && sums && admission.orders.len() == orders.len()
    }

    fn any_orders() -> impl Strategy<Value = Vec<Vec<OrderLine>>> {
        let order = proptest::collection::btree_map(0..SKUS.len(), 1..5i64, 1..=SKUS.len());
        let order = order.prop_map(|wanted| {
            let wanted: Vec<_> = wanted.into_iter().map(|(at, n)| (SKUS[at], n)).collect();
            lines(&wanted)
        });
        proptest::collection::vec(order, 0..40)
    }

    proptest! {
        #[test]
        fn nothing_is_sold_twice_and_nobody_is_refused_who_fits(
            orders in any_orders(),
            stocks in proptest::collection::vec(0..60i64, SKUS.len()),
        ) {
            let asked: Vec<&[OrderLine]> = orders.iter().map(Vec::as_slice).collect();
            let stock: BTreeMap<String, i64> =
                std::iter::zip(SKUS, stocks).map(|(sku, stock)| (sku.to_owned(), stock)).collect();
            prop_assert!(is_sound(&stock, &asked, &admit(&stock, &asked)));
        }
    }

    /// The control: the check sees an admission without a guard.
    #[test]
    fn an_admission_that_does_not_look_at_the_stock_is_caught() {
        let orders = vec![lines(&[("A", 1)]); 3];
        let asked: Vec<&[OrderLine]> = orders.iter().map(Vec::as_slice).collect();
        let plenty = admit(&stock(&[("A", 100)]), &asked);
        assert!(plenty.orders.iter().all(Result::is_ok));
        assert!(!is_sound(&stock(&[("A", 2)]), &asked, &plenty));
    }
}
