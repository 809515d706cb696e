//! The name that a caller gives a hold or an adjustment.

use std::fmt;
use std::sync::Arc;

use crate::allocator;

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// An id of 1 to [`MAX_ID_BYTES`] arbitrary bytes. A UUID in its 36-character lower-case text is kept in 16.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    Uuid([u8; 16]),
    // Shared, because an id goes from the command by way of the effect into the ledger.
    Bytes(Arc<[u8]>),
}

impl Id {
    /// The id of these bytes, or `None` when there are none or more than [`MAX_ID_BYTES`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > MAX_ID_BYTES {
            return None;
        }
        Some(Self(match parse_uuid(bytes) {
            Some(uuid) => Form::Uuid(uuid),
            None => Form::Bytes(bytes.into()),
        }))
    }

    /// The id as the caller wrote it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Form::Uuid(uuid) => write_uuid(uuid),
            Form::Bytes(bytes) => bytes.to_vec(),
        }
    }

    /// The 16 bytes of a UUID, for packed forms.
    pub(crate) fn uuid(&self) -> Option<&[u8; 16]> {
        match &self.0 {
            Form::Uuid(uuid) => Some(uuid),
            Form::Bytes(_) => None,
        }
    }

    pub(crate) fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(Form::Uuid(uuid))
    }

    /// What it takes of the heap, in bytes: nothing for a UUID.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Uuid(_) => 0,
            // The two counters of the Arc stand before the bytes.
            Form::Bytes(bytes) => allocator::size(bytes.len() + 2 * size_of::<usize>()),
        }
    }

    /// Moves what it has on the heap to a new place there.
    pub(crate) fn renew(&mut self) {
        if let Form::Bytes(bytes) = &mut self.0 {
            *bytes = Arc::from(&bytes[..]);
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bytes().escape_ascii())
    }
}

/// Where the hyphens stand in a UUID's text (RFC 9562, section 4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut uuid = [0; 16];
    let mut digits = 0;
    for (at, &byte) in text.iter().enumerate() {
        if HYPHENS.contains(&at) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        // Upper-case digits are left as bytes: the id must come back exactly as it was written.
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let pair = uuid.get_mut(digits / 2)?;
        *pair = *pair << 4 | digit;
        digits += 1;
    }
    Some(uuid)
}

fn write_uuid(uuid: &[u8; 16]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(36);
    for byte in uuid {
        if HYPHENS.contains(&text.len()) {
            text.push(b'-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_comes_back_as_written() {
        let text = b"0190f3a2-7c1e-7abc-8def-0123456789ab";
        let id = Id::new(text).unwrap();
        assert!(id.uuid().is_some());
        assert_eq!(id.to_bytes(), text);
    }

    #[test]
    fn what_only_looks_like_a_uuid_is_kept_as_bytes() {
        for text in [
            "0190F3A2-7C1E-7ABC-8DEF-0123456789AB",
            "0190f3a2-7c1e-7abc-8def-0123456789a-",
            "0190f3a2+7c1e-7abc-8def-0123456789ab",
        ] {
            let id = Id::new(text.as_bytes()).unwrap();
            assert!(id.uuid().is_none(), "{text}");
            assert_eq!(id.to_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn any_bytes_up_to_64_make_an_id() {
        assert_eq!(Id::new(b""), None);
        assert_eq!(Id::new(&[7; 65]), None);
        assert_eq!(Id::new(&[0; 64]).unwrap().to_bytes(), [0; 64]);
        assert_eq!(
            Id::new(b"a\0\xff\r\n").unwrap().to_string(),
            "a\\x00\\xff\\r\\n"
        );
    }
}
