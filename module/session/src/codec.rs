//! The packed form of a session, for the RDB file and for replication.
//!
//! Version 1: the digest's 32 bytes; a flag byte, and if it is 1 the previous digest and until when it works;
//! login, last activity, idle and absolute timeout, page views and TAT as 8 bytes little-endian each; then user,
//! roles and page; then the number of viewed items and each; then the number of fields and each name and value.
//! Texts are preceded by their length in 2 bytes, numbers of entries are 1 byte.

use thiserror::Error;

use crate::limits::{LONGEST_TIMEOUT_MS, MAX_PAGE_BYTES};
use crate::record::Previous;
use crate::{Digest, Fields, Record, Viewed};

/// The version that [`Record::encode`] writes, and the highest that [`Record::decode`] reads.
pub const ENCODING_VERSION: i32 = 1;

/// Why a payload is not a session. It is refused whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Written by a later release.
    #[error(
        "its encoding version {0} is not known to this release, which reads versions 1 to {ENCODING_VERSION}"
    )]
    Version(i32),
    /// The bytes end too early.
    #[error("it is cut short")]
    Truncated,
    /// The bytes are not what a session can be.
    #[error("it holds what no session can hold")]
    Malformed,
}

impl Record {
    /// The packed session.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.memory());
        bytes.extend_from_slice(self.digest.as_bytes());
        bytes.push(u8::from(self.previous.is_some()));
        if let Some(previous) = &self.previous {
            bytes.extend_from_slice(previous.digest.as_bytes());
            bytes.extend_from_slice(&previous.until_ms.to_le_bytes());
        }
        let numbers = [
            self.login_ms,
            self.activity_ms,
            self.idle_ms,
            self.absolute_ms,
            self.page_views,
            self.tat_ns,
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in [&self.user, &self.roles, &self.page] {
            write_text(&mut bytes, text);
        }
        bytes.push(self.viewed.iter().count() as u8);
        for item in self.viewed.iter() {
            write_text(&mut bytes, item);
        }
        bytes.push(self.fields.iter().count() as u8);
        for (name, value) in self.fields.iter() {
            write_text(&mut bytes, name);
            write_text(&mut bytes, value);
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote under this encoding version.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not exactly one session that could have come about.
    pub fn decode(bytes: &[u8], version: i32) -> Result<Self, DecodeError> {
        if !(1..=ENCODING_VERSION).contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let mut bytes = Bytes(bytes);
        let digest = bytes.digest()?;
        let previous = match bytes.byte()? {
            0 => None,
            1 => Some(Box::new(Previous {
                digest: bytes.digest()?,
                until_ms: bytes.number()?,
            })),
            _ => return Err(DecodeError::Malformed),
        };
        let mut record = Self {
            digest,
            previous,
            login_ms: bytes.number()?,
            activity_ms: bytes.number()?,
            idle_ms: bytes.number()?,
            absolute_ms: bytes.number()?,
            page_views: bytes.number()?,
            tat_ns: bytes.number()?,
            user: Box::default(),
            roles: Box::default(),
            page: Box::default(),
            viewed: Viewed::default(),
            fields: Fields::default(),
        };
        let (user, roles, page) = (bytes.text()?, bytes.text()?, bytes.text()?);
        record
            .set_all(&[(b"user", user), (b"roles", roles)])
            .map_err(|_| DecodeError::Malformed)?;
        record.page = page.into();
        let items = (0..bytes.byte()?)
            .map(|_| bytes.text())
            .collect::<Result<Vec<_>, _>>()?;
        record.viewed = Viewed::of(&items).ok_or(DecodeError::Malformed)?;
        for _ in 0..bytes.byte()? {
            let (name, value) = (bytes.text()?, bytes.text()?);
            let fields = &record.fields;
            if matches!(name, b"user" | b"roles") || fields.get(name).is_some() {
                return Err(DecodeError::Malformed);
            }
            record
                .set_all(&[(name, value)])
                .map_err(|_| DecodeError::Malformed)?;
        }
        let timeouts = [record.idle_ms, record.absolute_ms];
        let sound = page.len() <= MAX_PAGE_BYTES
            && timeouts
                .iter()
                .all(|timeout_ms| (1..=LONGEST_TIMEOUT_MS).contains(timeout_ms))
            // The last time that it can end, however it is touched from here on.
            && record.absolute_deadline_ms() < i64::MAX as u64
            && record.page_views <= i64::MAX as u64
            && bytes.0.is_empty();
        if sound {
            Ok(record)
        } else {
            Err(DecodeError::Malformed)
        }
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &[u8]) {
    // Every limit is far below 2^16.
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text);
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn digest(&mut self) -> Result<Digest, DecodeError> {
        Digest::parse(&self.array::<32>()?).ok_or(DecodeError::Malformed)
    }

    fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(text)
    }
}
