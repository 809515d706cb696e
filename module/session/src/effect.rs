//! The changes that a session can undergo, and their form as the arguments of a command:
//! `PUT packed-record`, `TOUCHED at_ms [PAGE page] [ITEM item] [TAT ns]`, `SET name value [name value …]`,
//! `ROTATED digest grace_until_ms`. All times are absolute.

use thiserror::Error;

use crate::limits::{MAX_ITEM_BYTES, MAX_PAGE_BYTES};
use crate::packed::Previous;
use crate::{Digest, Record};

/// The encoding version of the session that `PUT` carries. It says no version, so another one needs a word of its own:
/// files and primaries of the release before must still be understood.
const PUT_VERSION: i32 = 1;
const _: () = assert!(
    crate::ENCODING_VERSION == PUT_VERSION,
    "a session of another encoding version needs another word than PUT"
);

/// One change of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The session is this one from now on.
    Put(Box<Record>),
    /// It was touched.
    Touched {
        /// When, in Unix milliseconds.
        at_ms: u64,
        /// The page that was viewed.
        page: Option<Vec<u8>>,
        /// The item that was viewed.
        item: Option<Vec<u8>>,
        /// The theoretical arrival time of its rate, in Unix nanoseconds.
        tat_ns: Option<u64>,
    },
    /// Fields were set.
    Set {
        /// Names and values.
        pairs: Vec<(Vec<u8>, Vec<u8>)>,
    },
    /// It got a new secret.
    Rotated {
        /// The new secret's digest.
        digest: Digest,
        /// Until when the old one works, in Unix milliseconds.
        grace_until_ms: u64,
    },
}

/// Why arguments are no effect, or why the effect cannot be. Nothing has changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// The first word is not a known one.
    #[error("its first word is unknown")]
    UnknownWord,
    /// Arguments are missing or left over.
    #[error("it has the wrong number of arguments")]
    Arity,
    /// A number is no number.
    #[error("a number is not a whole number in range")]
    Number,
    /// A digest is no digest.
    #[error("a digest is not 32 bytes long")]
    Digest,
    /// A page or an item is empty or too long.
    #[error("a page or an item is too long")]
    Length,
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] crate::DecodeError),
    /// A field cannot be set.
    #[error(transparent)]
    Field(#[from] crate::Misuse),
    /// There is no session to change.
    #[error("there is no session under the key")]
    Absent,
}

impl Effect {
    /// Applies the effect to the session under the key, or returns the one to put there instead.
    ///
    /// # Errors
    /// [`TextError`] when it cannot be applied. Nothing has changed.
    pub fn apply(&self, present: Option<&mut Record>) -> Result<Option<Record>, TextError> {
        if let Self::Put(record) = self {
            return Ok(Some((**record).clone()));
        }
        let record = present.ok_or(TextError::Absent)?;
        match self {
            Self::Put(_) => {}
            Self::Touched {
                at_ms,
                page,
                item,
                tat_ns,
            } => record.keep_view(page.as_deref(), item.as_deref(), |head| {
                head.touch(*at_ms, page.is_some() || item.is_some(), *tat_ns);
            }),
            Self::Set { pairs } => record.set_all(pairs)?,
            Self::Rotated {
                digest,
                grace_until_ms,
            } => record.change_head(|head| {
                head.previous = Some(Previous {
                    digest: head.digest,
                    until_ms: *grace_until_ms,
                });
                head.digest = *digest;
            }),
        }
        Ok(None)
    }

    /// The effect as command arguments.
    #[must_use]
    pub fn to_args(&self) -> Vec<Vec<u8>> {
        let word = |word: &str| word.as_bytes().to_vec();
        let number = |number: u64| number.to_string().into_bytes();
        match self {
            Self::Put(record) => vec![word("PUT"), record.encode()],
            Self::Touched {
                at_ms,
                page,
                item,
                tat_ns,
            } => {
                let mut args = vec![word("TOUCHED"), number(*at_ms)];
                let options = [
                    ("PAGE", page.clone()),
                    ("ITEM", item.clone()),
                    ("TAT", tat_ns.map(number)),
                ];
                for (name, value) in options
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                {
                    args.extend([word(name), value]);
                }
                args
            }
            Self::Set { pairs } => {
                let pairs = pairs
                    .iter()
                    .flat_map(|(name, value)| [name.clone(), value.clone()]);
                std::iter::once(word("SET")).chain(pairs).collect()
            }
            Self::Rotated {
                digest,
                grace_until_ms,
            } => {
                vec![
                    word("ROTATED"),
                    digest.as_bytes().to_vec(),
                    number(*grace_until_ms),
                ]
            }
        }
    }

    /// Reads what [`Self::to_args`] wrote.
    ///
    /// # Errors
    /// [`TextError`] when the arguments are not exactly one effect.
    pub fn from_args(args: &[&[u8]]) -> Result<Self, TextError> {
        let (word, args) = args.split_first().ok_or(TextError::Arity)?;
        match (*word, args) {
            (b"PUT", [packed]) => Ok(Self::Put(Box::new(Record::decode(packed, PUT_VERSION)?))),
            (b"TOUCHED", [at_ms, options @ ..]) => {
                let (mut page, mut item, mut tat_ns) = (None, None, None);
                for pair in options.chunks(2) {
                    match pair {
                        [b"PAGE", value] => page = Some(within(value, 0, MAX_PAGE_BYTES)?),
                        [b"ITEM", value] => item = Some(within(value, 1, MAX_ITEM_BYTES)?),
                        [b"TAT", value] => tat_ns = Some(number(value)?),
                        _ => return Err(TextError::Arity),
                    }
                }
                Ok(Self::Touched {
                    at_ms: number(at_ms)?,
                    page,
                    item,
                    tat_ns,
                })
            }
            (b"SET", pairs) => {
                if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
                    return Err(TextError::Arity);
                }
                let pairs = pairs
                    .chunks_exact(2)
                    .map(|pair| (pair[0].to_vec(), pair[1].to_vec()))
                    .collect();
                Ok(Self::Set { pairs })
            }
            (b"ROTATED", [digest, grace_until_ms]) => Ok(Self::Rotated {
                digest: Digest::parse(digest).ok_or(TextError::Digest)?,
                grace_until_ms: number(grace_until_ms)?,
            }),
            (b"PUT" | b"TOUCHED" | b"ROTATED", _) => Err(TextError::Arity),
            _ => Err(TextError::UnknownWord),
        }
    }
}

fn within(value: &[u8], least: usize, most: usize) -> Result<Vec<u8>, TextError> {
    if (least..=most).contains(&value.len()) {
        Ok(value.to_vec())
    } else {
        Err(TextError::Length)
    }
}

fn number(text: &[u8]) -> Result<u64, TextError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(TextError::Number)
}
