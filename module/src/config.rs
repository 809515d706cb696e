//! The parameters: one table of what can be set, by CONFIG SET, in the server's configuration file and behind
//! `loadmodule`, and how it is read.
//!
//! A parameter that stands behind `loadmodule` takes the place of its default, so that `CONFIG REWRITE` writes a line
//! for every value that differs from it and the rewritten file gives the same values again.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use holdfast_session::limits::{DEFAULT_ABSOLUTE_MS, DEFAULT_IDLE_MS, LONGEST_TIMEOUT_MS};
use holdfast_stock::{MAX_HOLD_MS, Policy, Retention};

use crate::reply::quoted;

/// How long holds may last, as of now, and how much a command may clear away.
pub(crate) fn policy() -> Policy {
    Policy {
        default_hold_ms: HOLD_DEFAULT_MS.count(),
        longest_hold_ms: HOLD_LONGEST_MS.count(),
        ..Policy::default()
    }
}

/// How long stock keys remember, as of now.
pub(crate) fn retention() -> Retention {
    Retention {
        outcome_ms: OUTCOME_RETENTION_MS.count(),
        outcomes: OUTCOME_RETENTION_COUNT.count(),
        adjustment_ms: ADJUSTMENT_RETENTION_MS.count(),
        adjustments: ADJUSTMENT_RETENTION_COUNT.count(),
        longest_hold_ms: HOLD_LONGEST_MS.count(),
    }
}

/// How often the sweep looks, in milliseconds.
pub(crate) fn sweep_tick_ms() -> u64 {
    SWEEP_TICK_MS.count()
}

/// For how long the sweep may keep the server busy at a time, in microseconds.
pub(crate) fn sweep_slice_us() -> u64 {
    SWEEP_SLICE_US.count()
}

/// The idle timeout of a session that names none, in milliseconds.
pub(crate) fn session_idle_ms() -> u64 {
    SESSION_IDLE_MS.count()
}

/// The absolute timeout of a session that names none, in milliseconds.
pub(crate) fn session_absolute_ms() -> u64 {
    SESSION_ABSOLUTE_MS.count()
}

/// Whether changes of stock are published.
pub(crate) fn publishes_updates() -> bool {
    PUBLISH_UPDATES.get() != 0
}

/// A value that an operator can set; its name under CONFIG is `holdfast.` and this name.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    value: AtomicI64,
}

/// What values a parameter takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A whole number.
    Number { least: i64, most: i64 },
    /// `yes` or `no`, kept as 1 or 0.
    Switch,
}

const LONGEST_RETENTION_MS: u64 = 31_536_000_000;

static HOLD_DEFAULT_MS: Parameter = Parameter::number("hold-default-ms", 120_000, 1, MAX_HOLD_MS);
static HOLD_LONGEST_MS: Parameter = Parameter::number("hold-longest-ms", 3_600_000, 1, MAX_HOLD_MS);
static OUTCOME_RETENTION_MS: Parameter =
    Parameter::number("outcome-retention-ms", 3_600_000, 1, LONGEST_RETENTION_MS);
static OUTCOME_RETENTION_COUNT: Parameter =
    Parameter::number("outcome-retention-count", 1_000_000, 0, 1_000_000_000);
static ADJUSTMENT_RETENTION_MS: Parameter = Parameter::number(
    "adjustment-retention-ms",
    604_800_000,
    1,
    LONGEST_RETENTION_MS,
);
static ADJUSTMENT_RETENTION_COUNT: Parameter =
    Parameter::number("adjustment-retention-count", 10_000, 0, 1_000_000_000);
static SWEEP_TICK_MS: Parameter = Parameter::number("sweep-tick-ms", 100, 1, 10_000);
static SWEEP_SLICE_US: Parameter = Parameter::number("sweep-slice-us", 500, 100, 100_000);
static SESSION_IDLE_MS: Parameter =
    Parameter::number("session-idle-ms", DEFAULT_IDLE_MS, 1, LONGEST_TIMEOUT_MS);
static SESSION_ABSOLUTE_MS: Parameter = Parameter::number(
    "session-absolute-ms",
    DEFAULT_ABSOLUTE_MS,
    1,
    LONGEST_TIMEOUT_MS,
);
static PUBLISH_UPDATES: Parameter = Parameter::switch("publish-updates", true);

/// Every parameter of the module.
pub(crate) static TABLE: [&Parameter; 11] = [
    &HOLD_DEFAULT_MS,
    &HOLD_LONGEST_MS,
    &OUTCOME_RETENTION_MS,
    &OUTCOME_RETENTION_COUNT,
    &ADJUSTMENT_RETENTION_MS,
    &ADJUSTMENT_RETENTION_COUNT,
    &SWEEP_TICK_MS,
    &SWEEP_SLICE_US,
    &SESSION_IDLE_MS,
    &SESSION_ABSOLUTE_MS,
    &PUBLISH_UPDATES,
];

/// Pairs of which the first must not be greater than the second. They are checked when all values of a CONFIG SET
/// are in place, so it does not matter in which order it names them.
static ORDERED: [(&Parameter, &Parameter); 4] = [
    (&HOLD_DEFAULT_MS, &HOLD_LONGEST_MS),
    (&HOLD_LONGEST_MS, &OUTCOME_RETENTION_MS),
    (&HOLD_LONGEST_MS, &ADJUSTMENT_RETENTION_MS),
    (&SESSION_IDLE_MS, &SESSION_ABSOLUTE_MS),
];

/// Whether the values agree with one another.
///
/// # Errors
/// A line that names the two that do not.
pub(crate) fn check() -> Result<(), String> {
    match ORDERED.iter().find(|(low, high)| low.get() > high.get()) {
        None => Ok(()),
        Some((low, high)) => Err(format!(
            "holdfast.{} ({}) must not be greater than holdfast.{} ({})",
            low.name,
            low.get(),
            high.name,
            high.get()
        )),
    }
}

/// Reads what stands behind `loadmodule path`: pairs of a parameter's name, without `holdfast.`, and its value. Sets
/// nothing.
///
/// # Errors
/// A line that says what is wrong with which argument.
pub(crate) fn arguments(args: &[&[u8]]) -> Result<Vec<(&'static Parameter, i64)>, String> {
    let mut values: Vec<(&'static Parameter, i64)> = Vec::new();
    for pair in args.chunks(2) {
        let (name, value) = match pair {
            [name, value] => (*name, *value),
            [name, ..] => return Err(format!("module argument {} needs a value", quoted(name))),
            [] => break,
        };
        let parameter = TABLE
            .into_iter()
            .find(|parameter| parameter.name.as_bytes().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let known = TABLE.map(|parameter| parameter.name).join(", ");
                format!(
                    "unknown module argument {}; there are {known}",
                    quoted(name)
                )
            })?;
        if values
            .iter()
            .any(|(known, _)| std::ptr::eq(*known, parameter))
        {
            return Err(format!("module argument {} is given twice", quoted(name)));
        }
        values.push((parameter, parameter.parse(value)?));
    }
    Ok(values)
}

impl Parameter {
    const fn number(name: &'static str, default: u64, least: u64, most: u64) -> Self {
        Self {
            name,
            kind: Kind::Number {
                least: least as i64,
                most: most as i64,
            },
            value: AtomicI64::new(default as i64),
        }
    }

    const fn switch(name: &'static str, default: bool) -> Self {
        Self {
            name,
            kind: Kind::Switch,
            value: AtomicI64::new(default as i64),
        }
    }

    /// The value; the default until another was set.
    pub(crate) fn get(&self) -> i64 {
        self.value.load(Relaxed)
    }

    /// Sets a value that has been found to be in range.
    pub(crate) fn set(&self, value: i64) {
        self.value.store(value, Relaxed);
    }

    /// The value of a number that cannot be negative.
    fn count(&self) -> u64 {
        u64::try_from(self.get()).unwrap_or(0)
    }

    fn parse(&self, value: &[u8]) -> Result<i64, String> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let (parsed, expected) = match self.kind {
            Kind::Number { least, most } => (
                text.parse()
                    .ok()
                    .filter(|number| (least..=most).contains(number)),
                format!("a whole number from {least} to {most}"),
            ),
            Kind::Switch => (
                match text.to_ascii_lowercase().as_str() {
                    "yes" => Some(1),
                    "no" => Some(0),
                    _ => None,
                },
                "yes or no".to_owned(),
            ),
        };
        parsed.ok_or_else(|| {
            format!(
                "module argument {} must be {expected}, got {}",
                self.name,
                quoted(value)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Vec<(&'static str, i64)>, String> {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        let values = arguments(&args)?.into_iter();
        Ok(values.map(|(known, value)| (known.name, value)).collect())
    }

    #[test]
    fn arguments_are_pairs_of_known_names_and_values_in_range() {
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(
            read(&["hold-default-ms", "5000", "Publish-Updates", "NO"]),
            Ok(vec![("hold-default-ms", 5_000), ("publish-updates", 0)])
        );
        for (args, why) in [
            (&["hold-default-ms"][..], "needs a value"),
            (
                &["hold-default", "1"],
                "unknown module argument 'hold-default'; there are hold-default-ms,",
            ),
            (
                &["hold-default-ms", "0"],
                "must be a whole number from 1 to 86400000, got '0'",
            ),
            (&["hold-default-ms", "1s"], "got '1s'"),
            (&["publish-updates", "1"], "must be yes or no, got '1'"),
            (&["sweep-tick-ms", "5", "sweep-tick-ms", "5"], "given twice"),
        ] {
            let error = read(args).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_defaults_agree_and_are_in_range() {
        assert_eq!(check(), Ok(()));
        for parameter in TABLE {
            if let Kind::Number { least, most } = parameter.kind {
                assert!(
                    (least..=most).contains(&parameter.get()),
                    "{}",
                    parameter.name
                );
            }
        }
    }
}
