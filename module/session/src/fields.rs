//! The free fields of a session.

use crate::limits::{MAX_FIELD_NAME_BYTES, MAX_FIELD_VALUE_BYTES, MAX_FIELDS};

/// Names and values in the order of their first setting, packed: a length byte and the name, two length bytes and
/// the value. A handful of short fields is found faster by walking than by any index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Box<[u8]>);

impl Fields {
    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, packed) = rest.split_first()?;
            let (name, packed) = packed.split_at_checked(usize::from(length))?;
            let (length, packed) = packed.split_first_chunk()?;
            let (value, after) =
                packed.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = after;
            Some((name, value))
        })
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The fields with one of them set, or `None` when that is too many or too long.
    pub(crate) fn with(&self, name: &[u8], value: &[u8]) -> Option<Self> {
        let known = self.get(name).is_some();
        let fits = (1..=MAX_FIELD_NAME_BYTES).contains(&name.len())
            && value.len() <= MAX_FIELD_VALUE_BYTES
            && (known || self.iter().count() < MAX_FIELDS);
        if !fits {
            return None;
        }
        let mut packed = Vec::with_capacity(self.0.len() + name.len() + value.len() + 3);
        for (old_name, old_value) in self.iter() {
            pack(
                &mut packed,
                old_name,
                if old_name == name { value } else { old_value },
            );
        }
        if !known {
            pack(&mut packed, name, value);
        }
        Some(Self(packed.into_boxed_slice()))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn pack(packed: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    // Both lengths are within the limits, so they fit.
    packed.push(name.len() as u8);
    packed.extend_from_slice(name);
    packed.extend_from_slice(&(value.len() as u16).to_le_bytes());
    packed.extend_from_slice(value);
}
