//! The account of a file: what became of each of its rows. Every row has one place in it, so a
//! row that was lost or counted twice cannot hide in the sums.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rows::Row;

/// What can become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A product of the shop was made of it (import).
    Imported,
    /// Its units were sold: the order was answered 201.
    Sold,
    /// Its units were taken back into stock.
    Returned,
    /// The shop said no, and why.
    Refused,
    /// It was not attempted, and why.
    Skipped,
    /// It was attempted and nobody knows what came of it.
    Failed,
}

impl Outcome {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Imported => "imported",
            Outcome::Sold => "sold",
            Outcome::Returned => "returned",
            Outcome::Refused => "refused",
            Outcome::Skipped => "skipped",
            Outcome::Failed => "failed",
        }
    }
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// In a word.
    pub outcome: Outcome,
    /// Why; empty where the outcome says it all.
    pub reason: String,
    /// Units that moved, or would have moved.
    pub units: i64,
    /// Their worth, minor units: what the shop charged where it did, else at the file's price.
    pub amount_minor: i64,
}

impl Fate {
    /// A row that moves nothing.
    pub fn skipped(reason: &str) -> Self {
        Self {
            outcome: Outcome::Skipped,
            reason: reason.to_owned(),
            units: 0,
            amount_minor: 0,
        }
    }
}

/// Rows of one outcome and reason, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// What became of them.
    pub outcome: Outcome,
    /// Why; empty where the outcome says it all.
    pub reason: String,
    /// How many rows.
    pub rows: u64,
    /// Their units.
    pub units: i64,
    /// Their worth, minor units.
    pub amount_minor: i64,
}

/// The account itself.
#[derive(Debug)]
pub struct Account {
    lines: Vec<u64>,
    fates: Vec<Option<Fate>>,
    settled_twice: Vec<u64>,
}

impl Account {
    /// Opens the account of a sheet: nothing is known of any row yet.
    pub fn open(rows: &[Row]) -> Self {
        let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
        Self {
            fates: vec![None; lines.len()],
            lines,
            settled_twice: Vec::new(),
        }
    }

    /// Writes down what became of the row at `index`. What was written first stays: a second fate
    /// for the same row is a mistake of the program, which [`Account::gaps`] shows.
    pub fn settle(&mut self, index: usize, fate: Fate) {
        match &mut self.fates[index] {
            Some(_) => self.settled_twice.push(self.lines[index]),
            unknown => *unknown = Some(fate),
        }
    }

    /// How many rows the file has.
    pub fn rows(&self) -> u64 {
        self.lines.len() as u64
    }

    /// The sums by outcome and reason; the greatest number of rows first within an outcome.
    pub fn tallies(&self) -> Vec<Tally> {
        let mut sums: BTreeMap<(Outcome, &str), Tally> = BTreeMap::new();
        for fate in self.fates.iter().flatten() {
            let Fate {
                outcome, reason, ..
            } = fate.clone();
            let tally = sums.entry((outcome, &fate.reason));
            let tally = tally.or_insert(Tally {
                outcome,
                reason,
                rows: 0,
                units: 0,
                amount_minor: 0,
            });
            tally.rows += 1;
            tally.units += fate.units;
            tally.amount_minor += fate.amount_minor;
        }
        let mut tallies: Vec<Tally> = sums.into_values().collect();
        tallies.sort_by_key(|tally| (tally.outcome, std::cmp::Reverse(tally.rows)));
        tallies
    }

    /// How many rows ended like this, for whatever reason.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.fates
            .iter()
            .flatten()
            .filter(|fate| fate.outcome == outcome)
            .count() as u64
    }

    /// The lines whose fate is unknown or was decided twice; empty when the account adds up to
    /// the file.
    pub fn gaps(&self) -> Vec<u64> {
        let unknown = self
            .lines
            .iter()
            .zip(&self.fates)
            .filter(|(_, fate)| fate.is_none());
        unknown
            .map(|(line, _)| *line)
            .chain(self.settled_twice.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(rows: usize) -> Account {
        let row = |index| Row {
            line: index as u64 + 2,
            fields: Err(String::new()),
        };
        Account::open(&(0..rows).map(row).collect::<Vec<_>>())
    }

    fn sold(units: i64) -> Fate {
        Fate {
            outcome: Outcome::Sold,
            reason: String::new(),
            units,
            amount_minor: units * 100,
        }
    }

    #[test]
    fn a_lost_row_and_one_counted_twice_show() {
        let mut account = account(3);
        account.settle(0, sold(1));
        account.settle(1, sold(2));
        account.settle(1, Fate::skipped("no price"));
        assert_eq!(account.gaps(), [4, 3]);
        assert_eq!(account.tallies()[0].units, 3);
    }

    proptest! {
        #[test]
        fn settled_in_any_order_the_sums_are_those_of_the_file(fates in prop::collection::vec((0..4u8, 1..100i64), 0..200), seed in any::<u64>()) {
            let mut account = account(fates.len());
            let mut order: Vec<usize> = (0..fates.len()).collect();
            order.sort_by_key(|index| (*index as u64).wrapping_mul(seed | 1));
            for index in order {
                let (kind, units) = fates[index];
                let outcome = [Outcome::Sold, Outcome::Returned, Outcome::Refused, Outcome::Failed][kind as usize];
                account.settle(index, Fate { outcome, reason: format!("{}", units % 3), units, amount_minor: 0 });
            }
            prop_assert!(account.gaps().is_empty());
            let tallies = account.tallies();
            prop_assert_eq!(tallies.iter().map(|tally| tally.rows).sum::<u64>(), account.rows());
            prop_assert_eq!(tallies.iter().map(|tally| tally.units).sum::<i64>(), fates.iter().map(|(_, units)| units).sum::<i64>());
        }
    }
}
