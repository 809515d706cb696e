//! The digest of a session's secret. The secret itself never comes here.

/// A SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest in these 32 bytes, or in these 64 hexadecimal digits.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
            return Some(Self(raw));
        }
        if bytes.len() != 64 {
            return None;
        }
        let mut raw = [0; 32];
        for (byte, pair) in raw.iter_mut().zip(bytes.chunks_exact(2)) {
            for &digit in pair {
                *byte = *byte << 4 | char::from(digit).to_digit(16)? as u8;
            }
        }
        Some(Self(raw))
    }

    pub(crate) const ZERO: Self = Self([0; 32]);

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(raw: [u8; 32]) -> Self {
        Self(raw)
    }
}

impl PartialEq for Digest {
    /// Takes the same time wherever the first difference is, so that a guess learns nothing from the clock.
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .fold(0, |differing, (a, b)| differing | (a ^ b))
            == 0
    }
}

impl Eq for Digest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_and_hex_digits_are_the_same_digest() {
        let raw = Digest::parse(&[0xab; 32]).unwrap();
        assert_eq!(Digest::parse("aB".repeat(32).as_bytes()), Some(raw));
        assert_eq!(Digest::parse(&[0xab; 31]), None);
        assert_eq!(Digest::parse("ag".repeat(32).as_bytes()), None);
        assert_ne!(Digest::parse(&[0xaa; 32]), Some(raw));
    }
}
