//! The name of a thing that is sold.

use std::fmt;
use std::str::FromStr;

/// A stock keeping unit: 1 to 64 of `A-Z 0-9 . _ -`, beginning with a letter or digit; lower
/// case is read as upper case, so that `85123a` and `85123A` are one product.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "examples" = ["TEA-CADDY"]))]
pub struct Sku(String);

/// The text is no SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sku has 1 to 64 letters, digits, dots, underscores or hyphens and begins with a letter or digit"
)]
pub struct InvalidSku;

impl Sku {
    /// The text of the SKU, in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sku {
    type Err = InvalidSku;

    fn from_str(text: &str) -> Result<Self, InvalidSku> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let all_known = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if begins_well && all_known && text.len() <= 64 {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(InvalidSku)
        }
    }
}

impl TryFrom<String> for Sku {
    type Error = InvalidSku;

    fn try_from(text: String) -> Result<Self, InvalidSku> {
        text.parse()
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> String {
        sku.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        assert_eq!("85123a".parse::<Sku>(), "85123A".parse());
    }

    #[test]
    fn what_could_not_stand_in_a_key_or_a_path_is_refused() {
        for text in [
            "",
            " ",
            "a b",
            "a/b",
            "{a}",
            "a\0",
            "-a",
            "é",
            &"x".repeat(65),
        ] {
            assert_eq!(text.parse::<Sku>(), Err(InvalidSku), "{text:?}");
        }
    }
}
