//! The shop's own catalogue form: one row a product, `sku,name,description,price,currency,stock`.

use std::collections::HashMap;

use csv::StringRecord;

use super::goods::Goods;
use super::price;
use super::record::Skip;
use super::rows::Row;
use crate::catalogue::{Product, Sku};

/// The most units of one product that a row may stock.
const MOST_STOCK: i64 = 1_000_000_000_000;

/// Makes a product of each row; a row that cannot be read, or names a SKU again, is handed to `skip`.
pub fn goods(rows: &[Row], skip: &mut impl FnMut(usize, &Row, Skip)) -> Vec<Goods> {
    let mut first_lines: HashMap<Sku, u64> = HashMap::new();
    let mut goods = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let read = row.fields.as_ref().map_err(String::clone).and_then(read);
        let read = read.and_then(|(product, stock)| match first_lines.get(&product.sku) {
            Some(first) => Err(format!(
                "the sku {} stands on line {first} already",
                product.sku
            )),
            None => Ok((product, stock)),
        });
        match read {
            Ok((product, stock)) => {
                first_lines.insert(product.sku.clone(), row.line);
                goods.push(Goods {
                    product,
                    stock,
                    rows: vec![index],
                });
            }
            Err(why) => skip(index, row, Skip::Malformed(why)),
        }
    }
    goods.sort_by(|a, b| a.product.sku.cmp(&b.product.sku));
    goods
}

fn read(fields: &StringRecord) -> Result<(Product, i64), String> {
    let [sku, name, description, price, currency, stock] =
        [0, 1, 2, 3, 4, 5].map(|column| &fields[column]);
    let sku = sku
        .parse::<Sku>()
        .map_err(|error| format!("the sku '{}': {error}", sku.escape_debug()))?;
    let price_minor = price::minor_units(price).ok_or_else(|| {
        format!(
            "the price '{}' is no amount with two decimals",
            price.escape_debug()
        )
    })?;
    let product = Product::new(sku, name, description, price_minor, currency)
        .map_err(|error| error.to_string())?;
    let stock = stock
        .parse()
        .ok()
        .filter(|stock| (0..=MOST_STOCK).contains(stock));
    let stock =
        stock.ok_or_else(|| format!("the stock must be a whole number from 0 to {MOST_STOCK}"))?;
    Ok((product, stock))
}

#[cfg(test)]
mod tests {
    use super::super::goods::{Stocking, assort};
    use super::super::sheet::{CATALOGUE_HEADER, Sheet};

    #[test]
    fn each_sound_row_is_a_product_and_each_other_is_named() {
        let text = format!(
            "{CATALOGUE_HEADER}
mug-red,Red mug,\"Holds tea, and coffee\",4.50,GBP,9
MUG-BLUE,Blue mug,,4.5,GBP,0
Mug-Red,Red mug again,,4.50,GBP,1
a b,Bad sku,,1,GBP,1
M1,,,1,GBP,1
M2,Bad price,,-1,GBP,1
M3,Bad price,,one,GBP,1
M4,Bad currency,,1,pounds,1
M5,Bad stock,,1,GBP,-1
M6,Bad stock,,1,GBP,1.5"
        );
        let sheet = Sheet::parse(text.into_bytes()).expect("the header is known");
        let assortment = assort(
            &sheet,
            &Stocking {
                currency: "GBP".into(),
                percent: 100,
            },
        );
        let goods: Vec<_> = assortment
            .goods
            .iter()
            .map(|goods| {
                (
                    goods.product.sku.as_str(),
                    goods.product.price_minor,
                    goods.stock,
                )
            })
            .collect();
        assert_eq!(goods, [("MUG-BLUE", 450, 0), ("MUG-RED", 450, 9)]);
        let lines: Vec<u64> = assortment.malformed.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(
            assortment.malformed[0].1,
            "the sku MUG-RED stands on line 2 already"
        );
    }
}
