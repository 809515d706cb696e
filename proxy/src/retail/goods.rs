//! The products and their stock that a sheet describes, whichever of the two forms it has.

use std::collections::BTreeMap;

use super::account::{Account, Fate};
use super::own_form;
use super::record::{self, Line, Record, Skip};
use super::rows::Row;
use super::sheet::{Form, Sheet};
use crate::catalogue::{Product, Sku};

/// A product to be put into the catalogue, and how many units of it to stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goods {
    /// The product.
    pub product: Product,
    /// Units to add to its stock; 0 for one that the file only takes back.
    pub stock: i64,
    /// The rows of the sheet that it was made of.
    pub rows: Vec<usize>,
}

/// How the stock of a retail sheet is to be made.
#[derive(Debug, Clone)]
pub struct Stocking {
    /// The currency of the sheet's prices; ISO 4217.
    pub currency: String,
    /// Units to stock, in percent of those that the sheet sells; rounded down.
    pub percent: u32,
}

/// A row that cannot be read: its line, and what is wrong with it.
pub type Malformed = (u64, String);

/// What a sheet says is for sale.
#[derive(Debug)]
pub struct Assortment {
    /// In the order of the SKUs.
    pub goods: Vec<Goods>,
    /// The rows that could not be read, in the order of the file.
    pub malformed: Vec<Malformed>,
    /// Rows that make no product are settled in it, the others open.
    pub account: Account,
}

/// Makes products of a sheet's rows.
pub fn assort(sheet: &Sheet, stocking: &Stocking) -> Assortment {
    let mut account = Account::open(&sheet.rows);
    let mut malformed = Vec::new();
    let mut skip = |index: usize, row: &Row, skip: Skip| {
        account.settle(index, Fate::skipped(skip.reason()));
        if let Skip::Malformed(why) = skip {
            malformed.push((row.line, why));
        }
    };
    let goods = match sheet.form {
        Form::Catalogue => own_form::goods(&sheet.rows, &mut skip),
        Form::Retail => retail_goods(&sheet.rows, stocking, &mut skip),
    };
    Assortment {
        goods,
        malformed,
        account,
    }
}

fn retail_goods(
    rows: &[Row],
    stocking: &Stocking,
    skip: &mut impl FnMut(usize, &Row, Skip),
) -> Vec<Goods> {
    let mut drafts: BTreeMap<Sku, Draft> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let (units_sold, line) = match record::read(index, row) {
            Record::Sale(line) => (line.quantity, line),
            Record::Return(line) => (0, line),
            Record::Skipped(why) => {
                skip(index, row, why);
                continue;
            }
        };
        drafts
            .entry(line.sku.clone())
            .or_default()
            .add(&line, units_sold);
    }
    drafts
        .into_iter()
        .map(|(sku, draft)| draft.finish(sku, stocking))
        .collect()
}

/// A product while its lines are gathered.
#[derive(Default)]
struct Draft {
    name: String,
    price_minor: Option<i64>,
    units_sold: i64,
    rows: Vec<usize>,
}

impl Draft {
    fn add(&mut self, line: &Line, units_sold: i64) {
        if self.name.is_empty() {
            self.name.clone_from(&line.description);
        }
        self.price_minor.get_or_insert(line.price_minor);
        self.units_sold += units_sold;
        self.rows.push(line.row);
    }

    fn finish(self, sku: Sku, stocking: &Stocking) -> Goods {
        let name = if self.name.is_empty() {
            sku.to_string()
        } else {
            self.name
        };
        // In 128 bits, because units times percent may be more than 64 hold.
        let stock = i128::from(self.units_sold) * i128::from(stocking.percent) / 100;
        let product = Product {
            sku,
            name,
            description: String::new(),
            price_minor: self.price_minor.unwrap_or_default(),
            currency: stocking.currency.clone(),
            buyer_limit: None,
        };
        Goods {
            product,
            stock: i64::try_from(stock).unwrap_or(i64::MAX),
            rows: self.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::account::Outcome;
    use super::super::sheet::RETAIL_HEADER;
    use super::*;

    fn assorted(rows: &[&str], percent: u32) -> Assortment {
        let text = format!("{RETAIL_HEADER}\n{}", rows.join("\n"));
        let sheet = Sheet::parse(text.into_bytes()).expect("the header is known");
        assort(
            &sheet,
            &Stocking {
                currency: "GBP".into(),
                percent,
            },
        )
    }

    #[test]
    fn a_product_has_the_first_name_and_price_and_what_is_sold_of_it() {
        let assortment = assorted(
            &[
                "900001,10001a,,3,d,1.25,7,UK",
                "900002,10001A,BLUE MUG,2,d,1.50,8,UK",
                "900003,10001A,MUG BLUE,100,d,0,,UK",
                "900003,10001A,broken,-9,d,0,,UK",
                "C900004,10001A,BLUE MUG,-1,d,1.25,7,UK",
                "900005,POST,POSTAGE,1,d,18,7,UK",
                "C900006,10002,RED MUG,-4,d,2,7,UK",
                "oops",
            ],
            50,
        );
        let [mug, red] = &assortment.goods[..] else {
            panic!("two products, not {:?}", assortment.goods)
        };
        assert_eq!(
            (
                mug.product.name.as_str(),
                mug.product.price_minor,
                mug.stock
            ),
            ("BLUE MUG", 125, 2)
        );
        assert_eq!(mug.rows, [0, 1, 4]);
        assert_eq!((red.stock, &red.rows[..]), (0, &[6][..]));
        assert_eq!(
            assortment.malformed,
            [(9, "it has 1 fields instead of 8".to_owned())]
        );
        assert_eq!(assortment.account.count(Outcome::Skipped), 4);
    }

    #[test]
    fn a_product_that_nobody_describes_is_called_by_its_sku() {
        let assortment = assorted(&["900001,10001,,3,d,1.25,7,UK"], 100);
        assert_eq!(assortment.goods[0].product.name, "10001");
    }

    proptest! {
        #[test]
        fn every_row_is_skipped_or_in_one_product(
            rows in prop::collection::vec("(C?9000[0-9]{2})?,(1000[0-9]|POST|D|),[a-z\" ]{0,5},-?[0-9]{0,3},d,[0-9]{0,2}(\\.[0-9]{1,3})?,7,UK(,x)?", 0..60),
            percent in 0..300u32,
        ) {
            let text = format!("{RETAIL_HEADER}\n{}", rows.join("\n"));
            let sheet = Sheet::parse(text.into_bytes()).expect("the header is known");
            let Assortment { goods, mut account, .. } = assort(&sheet, &Stocking { currency: "GBP".into(), percent });
            prop_assert_eq!(account.gaps().len() as u64, account.rows() - account.count(Outcome::Skipped));
            for goods in goods {
                prop_assert!(goods.product.price_minor > 0 && goods.stock >= 0);
                for row in goods.rows {
                    account.settle(row, Fate { outcome: Outcome::Imported, reason: String::new(), units: 0, amount_minor: 0 });
                }
            }
            prop_assert!(account.gaps().is_empty());
        }
    }
}
