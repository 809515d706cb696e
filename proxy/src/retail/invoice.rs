//! The invoices of a retail sheet: what each shopper buys at once, or brings back.

use std::collections::{BTreeMap, HashMap};

use super::account::{Account, Fate};
use super::goods::Malformed;
use super::record::{self, Line, Record, Skip};
use super::sheet::Sheet;
use crate::catalogue::Sku;
use crate::orders::Item;

/// The lines of one invoice that move goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Its number.
    pub number: String,
    /// Who bought, where that is known.
    pub customer: Option<String>,
    /// In the order of the file; never empty.
    pub lines: Vec<Line>,
}

/// What there is to replay.
#[derive(Debug)]
pub struct Workload {
    /// Invoices that sell, in the order of the file.
    pub sales: Vec<Invoice>,
    /// Cancellations, in the order of the file.
    pub returns: Vec<Invoice>,
    /// The rows that could not be read, in the order of the file.
    pub malformed: Vec<Malformed>,
    /// Rows that sell and return nothing are settled in it, the others open.
    pub account: Account,
}

impl Invoice {
    /// What to order: the lines by SKU, quantities added, each SKU once.
    pub fn items(&self) -> Vec<Item> {
        let mut quantities: BTreeMap<&Sku, i64> = BTreeMap::new();
        for line in &self.lines {
            *quantities.entry(&line.sku).or_default() += line.quantity;
        }
        quantities
            .into_iter()
            .map(|(sku, quantity)| Item {
                sku: sku.clone(),
                quantity,
            })
            .collect()
    }
}

/// Sorts a sheet's rows into invoices. Only the first `limit` sales are taken if there is one.
pub fn gather(sheet: &Sheet, limit: Option<usize>) -> Workload {
    let mut account = Account::open(&sheet.rows);
    let mut malformed = Vec::new();
    let (mut sales, mut returns) = (Grouping::default(), Grouping::default());
    for (index, row) in sheet.rows.iter().enumerate() {
        match record::read(index, row) {
            Record::Sale(line) => sales.add(line),
            Record::Return(line) => returns.add(line),
            Record::Skipped(skip) => {
                account.settle(index, Fate::skipped(skip.reason()));
                if let Skip::Malformed(why) = skip {
                    malformed.push((row.line, why));
                }
            }
        }
    }
    let (mut sales, mut returns) = (sales.invoices, returns.invoices);
    if let Some(limit) = limit {
        // A return without its sale would bring goods back that never went out, so these wait too.
        let beyond = sales
            .split_off(limit.min(sales.len()))
            .into_iter()
            .chain(returns.drain(..));
        for line in beyond.flat_map(|invoice| invoice.lines) {
            account.settle(line.row, Fate::skipped("beyond --limit"));
        }
    }
    Workload {
        sales,
        returns,
        malformed,
        account,
    }
}

/// Invoices as they are found; their lines need not stand together.
#[derive(Default)]
struct Grouping {
    invoices: Vec<Invoice>,
    places: HashMap<String, usize>,
}

impl Grouping {
    fn add(&mut self, line: Line) {
        let place = *self
            .places
            .entry(line.invoice.clone())
            .or_insert(self.invoices.len());
        if place == self.invoices.len() {
            self.invoices.push(Invoice {
                number: line.invoice.clone(),
                customer: None,
                lines: Vec::new(),
            });
        }
        let invoice = &mut self.invoices[place];
        if invoice.customer.is_none() {
            invoice.customer.clone_from(&line.customer);
        }
        invoice.lines.push(line);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::account::Outcome;
    use super::super::sheet::RETAIL_HEADER;
    use super::*;

    fn workload(rows: &[impl AsRef<str>], limit: Option<usize>) -> Workload {
        let rows: Vec<&str> = rows.iter().map(AsRef::as_ref).collect();
        let text = format!("{RETAIL_HEADER}\n{}", rows.join("\n"));
        gather(
            &Sheet::parse(text.into_bytes()).expect("the header is known"),
            limit,
        )
    }

    const ROWS: [&str; 7] = [
        "900001,10001a,BLUE MUG,3,d,1.25,,UK",
        "900002,10001,RED MUG,2,d,1,8,UK",
        "900001,10001A,BLUE MUG,4,d,1.25,7,UK",
        "900001,10001,RED MUG,1,d,1,7,UK",
        "900001,POST,POSTAGE,1,d,18,7,UK",
        "C900003,10001A,BLUE MUG,-3,d,1.25,7,UK",
        "900004,22222,,-3,d,0,,UK",
    ];

    #[test]
    fn an_invoice_is_one_order_and_its_lines_of_one_sku_are_one_item() {
        let Workload {
            sales,
            returns,
            account,
            ..
        } = workload(&ROWS, None);
        assert_eq!(
            sales
                .iter()
                .map(|sale| sale.number.as_str())
                .collect::<Vec<_>>(),
            ["900001", "900002"]
        );
        assert_eq!(
            (sales[0].customer.as_deref(), sales[0].lines.len()),
            (Some("7"), 3)
        );
        let items: Vec<(String, i64)> = sales[0]
            .items()
            .into_iter()
            .map(|item| (item.sku.to_string(), item.quantity))
            .collect();
        assert_eq!(items, [("10001".to_owned(), 1), ("10001A".to_owned(), 7)]);
        assert_eq!((returns.len(), returns[0].lines[0].quantity), (1, 3));
        assert_eq!(account.count(Outcome::Skipped), 2);
    }

    #[test]
    fn a_limit_leaves_later_sales_and_all_returns() {
        let Workload {
            sales,
            returns,
            account,
            ..
        } = workload(&ROWS, Some(1));
        assert_eq!((sales.len(), returns.len()), (1, 0));
        assert_eq!(account.count(Outcome::Skipped), 4);
    }

    proptest! {
        #[test]
        fn every_row_is_skipped_or_on_one_invoice(
            rows in prop::collection::vec("C?9000[0-9],(1000[0-9]|POST|),x,-?[0-9]{1,2},d,[0-9](\\.[0-9])?,7,UK(,x)?", 0..60),
            limit in prop::option::of(0..10usize),
        ) {
            let Workload { sales, returns, mut account, .. } = workload(&rows, limit);
            for line in sales.into_iter().chain(returns).flat_map(|invoice| invoice.lines) {
                account.settle(line.row, Fate { outcome: Outcome::Sold, reason: String::new(), units: 0, amount_minor: 0 });
            }
            prop_assert!(account.gaps().is_empty());
        }
    }
}
