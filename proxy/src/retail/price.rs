//! Prices as people write them, and as integers of the currency's minor unit.

use crate::catalogue::MAX_PRICE_MINOR;

/// Reads `12`, `12.5` or `-12.50` as minor units; `None` for anything else, for more than two
/// decimals that say something, and for what is beyond [`MAX_PRICE_MINOR`].
///
/// Never by way of floating point: `0.29 * 100` is not 29 there.
pub fn minor_units(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let decimals = decimals.trim_end_matches('0');
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let minor: i64 = format!("{whole}{decimals:0<2}").parse().ok()?;
    (minor <= MAX_PRICE_MINOR).then_some(if negative { -minor } else { minor })
}

/// `1234` minor units as `12.34`.
pub fn decimal(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_are_read_as_they_are_written() {
        let read = [
            "2",
            "2.5",
            "2.55",
            "0.29",
            "0",
            "2.500",
            "-11062.06",
            "99999999.99",
        ]
        .map(minor_units);
        let expected = [200, 250, 255, 29, 0, 250, -1_106_206, MAX_PRICE_MINOR].map(Some);
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_price_is_not_guessed() {
        for text in [
            "",
            "-",
            ".",
            ".5",
            "1,5",
            "2.555",
            "1e3",
            "£2",
            "--2",
            "1.2.3",
            "100000000",
            "٣",
            "2.5 ",
        ] {
            assert_eq!(minor_units(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(minor in -MAX_PRICE_MINOR..=MAX_PRICE_MINOR) {
            prop_assert_eq!(minor_units(&decimal(minor)), Some(minor));
        }
    }
}
