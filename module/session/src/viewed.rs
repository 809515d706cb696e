//! The items that were viewed last.

use crate::limits::{MAX_ITEM_BYTES, MAX_VIEWED};

/// At most [`MAX_VIEWED`] items, newest first, none twice: packed as a length byte and the item's bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewed(Box<[u8]>);

impl Viewed {
    /// The items, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, packed) = rest.split_first()?;
            let (item, after) = packed.split_at_checked(usize::from(length))?;
            rest = after;
            Some(item)
        })
    }

    /// The list with the item in front.
    #[must_use]
    pub(crate) fn with(&self, item: &[u8]) -> Self {
        let older = self
            .iter()
            .filter(|known| *known != item)
            .take(MAX_VIEWED - 1);
        Self::pack(std::iter::once(item).chain(older))
    }

    /// The list of these items, newest first, or `None` if they cannot be one.
    pub(crate) fn of(items: &[&[u8]]) -> Option<Self> {
        let distinct = items
            .iter()
            .enumerate()
            .all(|(at, item)| !items[..at].contains(item));
        let short = items
            .iter()
            .all(|item| (1..=MAX_ITEM_BYTES).contains(&item.len()));
        (items.len() <= MAX_VIEWED && distinct && short).then(|| Self::pack(items.iter().copied()))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    fn pack<'a>(items: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut packed = Vec::new();
        for item in items {
            // At most MAX_ITEM_BYTES, so the length fits.
            packed.push(item.len() as u8);
            packed.extend_from_slice(item);
        }
        Self(packed.into_boxed_slice())
    }
}
