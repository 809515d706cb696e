//! What one row of the Online Retail columns means.

use csv::StringRecord;

use super::price;
use super::rows::Row;
use crate::catalogue::Sku;
use crate::orders::MAX_QUANTITY;

/// The longest description that fits a product's name, characters.
const LONGEST_DESCRIPTION: usize = 255;
const LONGEST_INVOICE_NUMBER: usize = 16;

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Units go out to a shopper.
    Sale(Line),
    /// Units of a cancelled invoice come back; the quantity is positive here.
    Return(Line),
    /// Nothing is sold or brought back by it.
    Skipped(Skip),
}

/// A line of an invoice that moves goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The place of its row in the sheet.
    pub row: usize,
    /// The number of its line in the file.
    pub number: u64,
    /// The invoice it stands on.
    pub invoice: String,
    /// Which product.
    pub sku: Sku,
    /// What the retailer called it; may be empty.
    pub description: String,
    /// 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
    /// What one unit cost on this invoice, minor units, at least 1.
    pub price_minor: i64,
    /// Who bought, where that is known.
    pub customer: Option<String>,
}

/// Why a row sells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// It cannot be read; the text says what is wrong with it.
    Malformed(String),
    /// Its code names no goods: postage, discounts, bank charges.
    NotGoods,
    /// A negative quantity outside a cancellation: goods written off.
    WriteOff,
    /// It has no price: samples, and corrections of the count.
    NoPrice,
}

impl Skip {
    /// The reason as a report states it.
    pub fn reason(&self) -> &'static str {
        match self {
            Skip::Malformed(_) => "malformed",
            Skip::NotGoods => "no goods",
            Skip::WriteOff => "written off",
            Skip::NoPrice => "no price",
        }
    }
}

/// Reads the row at `index` of a sheet of the retail form.
///
/// The first of these rules that holds decides: a row that cannot be read is malformed; a code that
/// is not five digits with letters behind is no goods; a negative quantity is a return on an invoice
/// that begins with C and a write-off on any other; a price that is not above zero is none.
pub fn read(index: usize, row: &Row) -> Record {
    let read = row
        .fields
        .clone()
        .and_then(|fields| read_fields(index, row.line, &fields));
    read.unwrap_or_else(|why| Record::Skipped(Skip::Malformed(why)))
}

fn read_fields(row: usize, number: u64, fields: &StringRecord) -> Result<Record, String> {
    let [invoice, code, description, quantity, price, customer] =
        [0, 1, 2, 3, 5, 6].map(|column| &fields[column]);
    check_invoice_number(invoice)?;
    let is_cancellation = invoice.starts_with(['C', 'c']);
    let quantity = read_quantity(quantity)?;
    let price_minor = price::minor_units(price).ok_or_else(|| {
        format!(
            "the price '{}' is no amount with two decimals",
            price.escape_debug()
        )
    })?;
    if code.is_empty() {
        return Err("it has no stock code".into());
    }
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(format!(
            "the description is longer than {LONGEST_DESCRIPTION} characters"
        ));
    }
    if !names_goods(code) {
        return Ok(Record::Skipped(Skip::NotGoods));
    }
    let sku = code
        .parse()
        .map_err(|error| format!("the stock code '{code}': {error}"))?;
    if is_cancellation && quantity > 0 {
        return Err(format!(
            "the cancellation has a quantity of {quantity}, which is not negative"
        ));
    }
    if quantity < 0 && !is_cancellation {
        return Ok(Record::Skipped(Skip::WriteOff));
    }
    if price_minor <= 0 {
        return Ok(Record::Skipped(Skip::NoPrice));
    }
    let line = Line {
        row,
        number,
        invoice: invoice.to_owned(),
        sku,
        description: description.to_owned(),
        quantity: quantity.abs(),
        price_minor,
        customer: Some(customer.to_owned()).filter(|customer| !customer.is_empty()),
    };
    Ok(if is_cancellation {
        Record::Return(line)
    } else {
        Record::Sale(line)
    })
}

/// The number goes into an Idempotency-Key, so it must be fit for a header.
fn check_invoice_number(invoice: &str) -> Result<(), String> {
    let fits = (1..=LONGEST_INVOICE_NUMBER).contains(&invoice.len());
    if fits
        && invoice
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        Ok(())
    } else {
        Err(format!(
            "the invoice number '{}' is not 1 to {LONGEST_INVOICE_NUMBER} letters or digits",
            invoice.escape_debug()
        ))
    }
}

fn read_quantity(text: &str) -> Result<i64, String> {
    let shown = text.escape_debug();
    let quantity: i64 = text
        .parse()
        .map_err(|_| format!("the quantity '{shown}' is no whole number"))?;
    match quantity.checked_abs() {
        Some(1..=MAX_QUANTITY) => Ok(quantity),
        _ => Err(format!(
            "the quantity {quantity} is not from 1 to {MAX_QUANTITY} either way"
        )),
    }
}

/// Goods have five digits, and letters behind them for a colour or a size.
fn names_goods(code: &str) -> bool {
    let letters = code.trim_start_matches(|char: char| char.is_ascii_digit());
    code.len() - letters.len() == 5 && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(row: &str) -> Record {
        let fields = StringRecord::from(row.split(',').collect::<Vec<_>>());
        read(
            0,
            &Row {
                line: 2,
                fields: Ok(fields),
            },
        )
    }

    fn skip(row: &str) -> &'static str {
        match record(row) {
            Record::Skipped(skip) => skip.reason(),
            taken => panic!("{row} is taken as {taken:?}"),
        }
    }

    #[test]
    fn a_sale_is_read_with_its_sku_in_upper_case() {
        let Record::Sale(line) = record("900001,10001ab,BLUE MUG,6,1/12/2010,2.55,77,Wales") else {
            panic!("a sale")
        };
        assert_eq!(line.sku.as_str(), "10001AB");
        assert_eq!(
            (line.quantity, line.price_minor, line.customer.as_deref()),
            (6, 255, Some("77"))
        );
    }

    #[test]
    fn a_cancellation_brings_units_back() {
        let Record::Return(line) = record("C900002,10001,,-3,1/12/2010,1,,Wales") else {
            panic!("a return")
        };
        assert_eq!((line.quantity, line.customer), (3, None));
    }

    #[test]
    fn what_is_no_goods_is_skipped_whatever_its_sign() {
        for code in [
            "POST",
            "D",
            "DOT",
            "M",
            "BANK CHARGES",
            "C2",
            "AMAZONFEE",
            "1234",
            "123456",
            "12345-A",
            "gift_0001_20",
        ] {
            assert_eq!(
                skip(&format!("900001,{code},x,1,d,18.00,77,UK")),
                "no goods",
                "{code}"
            );
            assert_eq!(
                skip(&format!("C900001,{code},x,-1,d,18.00,77,UK")),
                "no goods",
                "{code}"
            );
            assert_eq!(
                skip(&format!("900001,{code},x,-1,d,-18.00,77,UK")),
                "no goods",
                "{code}"
            );
        }
    }

    #[test]
    fn write_offs_and_lines_without_a_price_are_skipped() {
        assert_eq!(skip("900001,10001,,-10,d,0,,UK"), "written off");
        assert_eq!(skip("900001,10001,,10,d,0,,UK"), "no price");
        assert_eq!(skip("900001,10001,,10,d,-1,,UK"), "no price");
        assert_eq!(skip("C900001,10001,,-10,d,0.00,,UK"), "no price");
    }

    #[test]
    fn what_cannot_be_read_is_malformed() {
        for row in [
            ",10001,x,1,d,1,77,UK",
            "90 01,10001,x,1,d,1,77,UK",
            "900001,,x,1,d,1,77,UK",
            "900001,10001,x,0,d,1,77,UK",
            "900001,10001,x,1.5,d,1,77,UK",
            "900001,10001,x,,d,1,77,UK",
            "900001,10001,x,9223372036854775808,d,1,77,UK",
            "900001,10001,x,-9223372036854775808,d,1,77,UK",
            "900001,10001,x,1,d,free,77,UK",
            "C900001,10001,x,1,d,1,77,UK",
        ] {
            assert_eq!(skip(row), "malformed", "{row}");
        }
        assert_eq!(
            skip(&format!("900001,10001,{},1,d,1,77,UK", "x".repeat(256))),
            "malformed"
        );
    }
}
