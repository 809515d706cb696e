//! A thing that is sold, and what it costs.

use super::Sku;

/// The highest price, in minor units: what DECIMAL(10,2) can hold.
pub const MAX_PRICE_MINOR: i64 = 9_999_999_999;
/// The longest name.
pub const MAX_NAME_CHARACTERS: usize = 255;
/// The longest description: TEXT holds it whatever the characters are, 4 bytes each at most.
pub const MAX_DESCRIPTION_CHARACTERS: usize = 16_383;
/// The most that one buyer may be limited to.
pub const MAX_BUYER_LIMIT: i64 = 1_000_000;
/// What [`Product::new`] takes as a name, as a pattern for callers.
pub const NAME: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";
/// Likewise as a description.
pub const DESCRIPTION: &str = r"^[^\u0000]*$";
/// Likewise as a currency.
pub const CURRENCY: &str = "^[A-Z]{3}$";

/// A row of the catalogue.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    sqlx::FromRow,
)]
pub struct Product {
    /// Its name in every key, path and table.
    #[sqlx(try_from = "String")]
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// What it is; may be empty.
    pub description: String,
    /// The price of one unit, in minor units of the currency.
    pub price_minor: i64,
    /// ISO 4217, such as `GBP`.
    pub currency: String,
    /// The most units that one buyer may have of it, for a drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_limit: Option<i64>,
}

/// A product that the catalogue cannot hold. The text names the field and its limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} {problem}")]
pub struct InvalidProduct {
    field: &'static str,
    problem: &'static str,
}

impl Product {
    /// A product whose fields the catalogue can hold.
    ///
    /// # Errors
    /// When a field is out of its range; the error names it.
    pub fn new(
        sku: Sku,
        name: &str,
        description: &str,
        price_minor: i64,
        currency: &str,
    ) -> Result<Self, InvalidProduct> {
        let name = name.trim();
        let name_fits = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARACTERS;
        ensure(name_fits, "name", "must have 1 to 255 characters")?;
        ensure(!name.contains('\0'), "name", "must not contain a NUL byte")?;
        ensure(
            description.chars().count() <= MAX_DESCRIPTION_CHARACTERS,
            "description",
            "must have at most 16383 characters",
        )?;
        ensure(
            !description.contains('\0'),
            "description",
            "must not contain a NUL byte",
        )?;
        let price_fits = (0..=MAX_PRICE_MINOR).contains(&price_minor);
        ensure(price_fits, "price", "must be from 0 to 99999999.99")?;
        let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        ensure(
            is_code,
            "currency",
            "must be three capital letters, such as GBP",
        )?;
        Ok(Self {
            sku,
            name: name.to_owned(),
            description: description.to_owned(),
            price_minor,
            currency: currency.to_owned(),
            buyer_limit: None,
        })
    }

    /// The same product, of which one buyer may have so many; `None` for as many as there are.
    ///
    /// # Errors
    /// When nobody could have one, or it is no limit.
    pub fn limited_to(self, buyer_limit: Option<i64>) -> Result<Self, InvalidProduct> {
        let is_limit = buyer_limit.is_none_or(|limit| (1..=MAX_BUYER_LIMIT).contains(&limit));
        ensure(is_limit, "buyer_limit", "must be from 1 to 1000000")?;
        Ok(Self {
            buyer_limit,
            ..self
        })
    }
}

/// What `quantity` units cost, in minor units; `None` when that is beyond an `i64`.
pub fn amount_minor(price_minor: i64, quantity: i64) -> Option<i64> {
    price_minor.checked_mul(quantity)
}

fn ensure(holds: bool, field: &'static str, problem: &'static str) -> Result<(), InvalidProduct> {
    if holds {
        Ok(())
    } else {
        Err(InvalidProduct { field, problem })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn product(name: &str, price_minor: i64, currency: &str) -> Result<Product, InvalidProduct> {
        Product::new(
            "85123A".parse().expect("a sku"),
            name,
            "",
            price_minor,
            currency,
        )
    }

    #[test]
    fn limits_are_inclusive_and_the_field_is_named() {
        assert!(product(&"é".repeat(255), MAX_PRICE_MINOR, "GBP").is_ok());
        assert!(product("lantern", 0, "GBP").is_ok());
        for (name, price_minor, currency, field) in [
            ("", 1, "GBP", "name"),
            ("  ", 1, "GBP", "name"),
            ("a\0b", 1, "GBP", "name"),
            (&"x".repeat(256), 1, "GBP", "name"),
            ("lantern", -1, "GBP", "price"),
            ("lantern", MAX_PRICE_MINOR + 1, "GBP", "price"),
            ("lantern", 1, "gbp", "currency"),
            ("lantern", 1, "POUND", "currency"),
        ] {
            let refused = product(name, price_minor, currency).expect_err(name);
            assert_eq!(refused.field, field);
        }
    }

    #[test]
    fn a_limit_lets_every_buyer_have_one_at_least() {
        let limited =
            |limit| product("lantern", 1, "GBP").and_then(|product| product.limited_to(limit));
        assert!(
            limited(None).is_ok() && limited(Some(1)).is_ok() && limited(Some(1_000_000)).is_ok()
        );
        for limit in [0, -1, 1_000_001] {
            assert!(limited(Some(limit)).is_err(), "{limit}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_exact_or_none(price in 0..=MAX_PRICE_MINOR, quantity: i64) {
            let exact = i128::from(price) * i128::from(quantity);
            prop_assert_eq!(amount_minor(price, quantity), i64::try_from(exact).ok());
        }
    }
}
