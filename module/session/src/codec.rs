//! The form of a session in the RDB file and in replication.
//!
//! Version 1: the digest's 32 bytes; a flag byte, and if it is 1 the previous digest and until when it works;
//! login, last activity, idle and absolute timeout, page views and TAT as 8 bytes little-endian each; then user,
//! roles and page; then the number of viewed items and each; then the number of fields and each name and value.
//! Texts are preceded by their length in 2 bytes, numbers of entries are 1 byte.

use thiserror::Error;

use crate::limits::{LONGEST_TIMEOUT_MS, MAX_PAGE_BYTES};
use crate::packed::{Head, Previous};
use crate::profile::Profile;
use crate::{Digest, Record, viewed};

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
    /// The session in that form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let parts = self.parts();
        let (head, profile, viewed) = (parts.head, self.profile(), self.viewed());
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(head.digest.as_bytes());
        bytes.push(u8::from(head.previous.is_some()));
        if let Some(previous) = &head.previous {
            bytes.extend_from_slice(previous.digest.as_bytes());
            bytes.extend_from_slice(&previous.until_ms.to_le_bytes());
        }
        let numbers = [
            head.login_ms,
            head.activity_ms,
            head.idle_ms,
            head.absolute_ms,
            head.page_views,
            head.tat_ns,
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in [&profile.user, &profile.roles, &self.page()] {
            write_text(&mut bytes, text);
        }
        bytes.push(viewed.len() as u8);
        for item in &viewed {
            write_text(&mut bytes, item);
        }
        bytes.push(profile.fields.len() as u8);
        for (name, value) in &profile.fields {
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
            1 => Some(Previous {
                digest: bytes.digest()?,
                until_ms: bytes.number()?,
            }),
            _ => return Err(DecodeError::Malformed),
        };
        let head = Head {
            digest,
            previous,
            login_ms: bytes.number()?,
            activity_ms: bytes.number()?,
            idle_ms: bytes.number()?,
            absolute_ms: bytes.number()?,
            page_views: bytes.number()?,
            tat_ns: bytes.number()?,
        };
        let malformed = |_| DecodeError::Malformed;
        let mut profile = Profile::default();
        profile.set(b"user", bytes.text()?).map_err(malformed)?;
        profile.set(b"roles", bytes.text()?).map_err(malformed)?;
        let page = bytes.text()?;
        let items = (0..bytes.byte()?)
            .map(|_| bytes.text())
            .collect::<Result<Vec<_>, _>>()?;
        let viewed = viewed::pack(&items).ok_or(DecodeError::Malformed)?;
        for _ in 0..bytes.byte()? {
            let (name, value) = (bytes.text()?, bytes.text()?);
            if profile.field(name).is_some() {
                return Err(DecodeError::Malformed);
            }
            profile.set_field(name, value).map_err(malformed)?;
        }
        let timeouts = [head.idle_ms, head.absolute_ms];
        let sound = page.len() <= MAX_PAGE_BYTES
            && timeouts
                .iter()
                .all(|timeout_ms| (1..=LONGEST_TIMEOUT_MS).contains(timeout_ms))
            // The last time that it can end, however it is touched from here on.
            && head.absolute_deadline_ms() < i64::MAX as u64
            && head.page_views <= i64::MAX as u64
            && bytes.0.is_empty();
        if sound {
            Ok(Self::new(head, page, &viewed, &profile))
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
        self.array().map(Digest::from)
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
