//! An account as text: what became of the rows, by outcome and reason, and whether they add up.

use std::fmt::Write;

use super::account::{Account, Tally};
use super::goods::Malformed;
use super::price::decimal;

/// The rows that could not be read, one line each, with their line numbers.
pub fn malformed_rows(malformed: &[Malformed]) -> String {
    malformed
        .iter()
        .map(|(line, why)| format!("line {line} cannot be read: {why}\n"))
        .collect()
}

/// The account's sums, a line for each outcome and reason, and a last line that says whether every
/// row of the file is among them.
pub fn summary(account: &Account, currency: &str) -> String {
    let mut text = String::new();
    let mut accounted = 0;
    for tally in account.tallies() {
        accounted += tally.rows;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", tally_line(&tally, currency).trim_end());
    }
    let verdict = match account.gaps().as_slice() {
        [] => "every row of the file is accounted for".to_owned(),
        gaps => format!("NOT accounted for: lines {gaps:?}"),
    };
    let _ = writeln!(
        text,
        "  {:<9}{:>11} of {} rows: {verdict}",
        "total",
        grouped(accounted),
        grouped(account.rows())
    );
    text
}

fn tally_line(tally: &Tally, currency: &str) -> String {
    let rows = format!(
        "  {:<9}{:>11} {}",
        tally.outcome.word(),
        grouped(tally.rows),
        if tally.rows == 1 { "row " } else { "rows" }
    );
    let moved = match tally.units {
        0 => String::new(),
        units => format!(
            "{:>12} units {:>14} {currency}",
            grouped(units.unsigned_abs()),
            decimal(tally.amount_minor)
        ),
    };
    format!("{rows}{moved:<37}  {}", tally.reason)
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::account::{Fate, Outcome};
    use super::super::rows::Row;
    use super::*;

    #[test]
    fn the_sums_are_told_and_a_gap_is_named() {
        let row = |line| Row {
            line,
            fields: Err(String::new()),
        };
        let mut account = Account::open(&[2, 3, 4].map(row));
        let sold = Fate {
            outcome: Outcome::Sold,
            reason: String::new(),
            units: 1200,
            amount_minor: 123_456,
        };
        account.settle(0, sold);
        account.settle(1, Fate::skipped("no goods"));
        let text = summary(&account, "GBP");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "  sold               1 row        1,200 units        1234.56 GBP"
        );
        assert!(
            lines[1].starts_with("  skipped            1 row  ")
                && lines[1].ends_with("  no goods"),
            "{text}"
        );
        assert_eq!(
            lines[2],
            "  total              2 of 3 rows: NOT accounted for: lines [4]"
        );
        account.settle(2, Fate::skipped("no price"));
        assert!(
            summary(&account, "GBP")
                .ends_with("3 of 3 rows: every row of the file is accounted for\n")
        );
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(
            [0, 999, 1000, 1234567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
