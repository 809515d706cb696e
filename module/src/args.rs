//! How arguments are read, and what is said of bad ones.

use std::ops::{Deref, RangeInclusive};

use holdfast_session::Digest;
use holdfast_stock::{Id, MAX_ID_BYTES, MAX_UNITS};

use crate::commands::syntax::{self, Argument};
use crate::reply::{Failure, quoted};

/// An argument: a string that the server lends, or plain bytes where there is no server.
pub(crate) trait Bytes: Deref<Target = [u8]> {}

impl<T: Deref<Target = [u8]>> Bytes for T {}

/// The greatest number that an argument may be where nothing lower is said.
pub(crate) const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A whole number in the range; `what` names it in the error.
pub(crate) fn whole(arg: &[u8], what: &str, range: RangeInclusive<i64>) -> Result<i64, Failure> {
    let number = parse(arg).filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        Failure::error(format!(
            "{what} must be a whole number from {least} to {most}, got {}",
            quoted(arg)
        ))
    })
}

/// A whole number from `least` to `most`.
pub(crate) fn number(arg: &[u8], what: &str, least: u64, most: u64) -> Result<u64, Failure> {
    let bound = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
    whole(arg, what, bound(least)..=bound(most)).map(i64::unsigned_abs)
}

/// Units, at least one.
pub(crate) fn quantity(arg: &[u8], what: &str) -> Result<u64, Failure> {
    number(arg, what, 1, MAX_UNITS)
}

/// A hold's or an adjustment's id.
pub(crate) fn id(arg: &[u8], what: &str) -> Result<Id, Failure> {
    Id::new(arg).ok_or_else(|| {
        Failure::error(format!(
            "{what} must be 1 to {MAX_ID_BYTES} bytes long, got {} bytes",
            arg.len()
        ))
    })
}

/// The digest of a secret.
pub(crate) fn digest(arg: &[u8], what: &str) -> Result<Digest, Failure> {
    Digest::parse(arg).ok_or_else(|| {
        let got = match arg.len() {
            64 => "64 bytes that are not all hex digits".to_owned(),
            length => format!("{length} bytes"),
        };
        Failure::error(format!(
            "{what} must be a SHA-256 as 32 raw bytes or 64 hex digits, got {got}"
        ))
    })
}

/// A text of limited length.
pub(crate) fn text<'a>(
    arg: &'a [u8],
    what: &str,
    least: usize,
    most: usize,
) -> Result<&'a [u8], Failure> {
    if (least..=most).contains(&arg.len()) {
        return Ok(arg);
    }
    Err(Failure::error(format!(
        "{what} must be {least} to {most} bytes long, got {} bytes",
        arg.len()
    )))
}

/// Names with their values, at least one; `None` when one has no value.
pub(crate) fn pairs<A: Bytes>(args: &[A]) -> Option<Vec<(&[u8], &[u8])>> {
    let (pairs, alone) = args.as_chunks();
    let pairs: Vec<(&[u8], &[u8])> = pairs
        .iter()
        .map(|[name, value]| (&**name, &**value))
        .collect();
    (alone.is_empty() && !pairs.is_empty()).then_some(pairs)
}

/// The options behind a command's fixed arguments: names in any case and any order, each once, with their values.
pub(crate) struct Options<'a, A> {
    rest: &'a [A],
    current: &'a [u8],
}

impl<'a, A: Bytes> Options<'a, A> {
    pub(crate) fn new(rest: &'a [A]) -> Self {
        Self { rest, current: b"" }
    }

    /// The next option's name in upper case.
    pub(crate) fn next_name(&mut self) -> Option<Vec<u8>> {
        let (name, rest) = self.rest.split_first()?;
        (self.current, self.rest) = (name, rest);
        Some(self.current.to_ascii_uppercase())
    }

    /// The current option's next value.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Failure> {
        let Some((value, rest)) = self.rest.split_first() else {
            return Err(Failure::error(format!(
                "option {} needs a value",
                quoted(self.current)
            )));
        };
        self.rest = rest;
        Ok(value)
    }

    /// Keeps the current option's value, unless it had one.
    pub(crate) fn once<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), Failure> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(Failure::error(format!(
                "option {} is given twice",
                quoted(self.current)
            ))),
        }
    }

    /// All that is left, for an option that takes the rest.
    pub(crate) fn take_rest(&mut self) -> &'a [A] {
        std::mem::take(&mut self.rest)
    }

    /// The error for a name that is none of the command's options.
    pub(crate) fn unknown(&self, arguments: &[Argument]) -> Failure {
        Failure::error(format!(
            "unknown option {}; this command knows {}",
            quoted(self.current),
            syntax::options(arguments)
        ))
    }
}

/// A decimal number written the one way that Redis writes it: no sign but a minus, no leading zero, no space.
fn parse(arg: &[u8]) -> Option<i64> {
    let digits = arg.strip_prefix(b"-").unwrap_or(arg);
    let canonical = match digits {
        [b'0'] => arg.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical {
        std::str::from_utf8(arg).ok()?.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_number_in_range_is_a_number() {
        assert_eq!(quantity(b"1", "quantity"), Ok(1));
        assert_eq!(quantity(b"9007199254740991", "quantity"), Ok(MAX_UNITS));
        for bad in [
            "",
            "0",
            "-1",
            "+1",
            "01",
            " 1",
            "1 ",
            "1.0",
            "9007199254740992",
            "9223372036854775808",
            "x",
        ] {
            let Err(Failure::Message(message)) = quantity(bad.as_bytes(), "quantity") else {
                unreachable!("{bad} is bad")
            };
            let expected = format!(
                "ERR quantity must be a whole number from 1 to 9007199254740991, got '{bad}'"
            );
            assert_eq!(message, expected);
        }
        assert_eq!(whole(b"-5", "delta", -9..=9), Ok(-5));
        assert!(whole(b"-0", "delta", -9..=9).is_err());
    }
}
