//! The items that were viewed last: at most [`MAX_VIEWED`], newest first, none twice. Packed as a length byte and the
//! packed text of each, so that walking the list need not read the texts.

use crate::limits::{MAX_ITEM_BYTES, MAX_VIEWED};
use crate::text;

/// The items of a list.
pub(crate) fn unpack(list: &[u8]) -> Vec<Vec<u8>> {
    entries(list).map(text::unpack).collect()
}

/// The list of these items, newest first, or `None` if they cannot be one.
pub(crate) fn pack(items: &[&[u8]]) -> Option<Vec<u8>> {
    let fits = |item: &&[u8]| (1..=MAX_ITEM_BYTES).contains(&item.len());
    // Before anything is compared or packed: a payload may claim many and long ones.
    if items.len() > MAX_VIEWED || !items.iter().all(fits) {
        return None;
    }
    let mut list = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if items.iter().take(at).any(|newer| newer == item) {
            return None;
        }
        push(&mut list, &text::pack(item));
    }
    Some(list)
}

/// The list with the item in front.
pub(crate) fn with(list: &[u8], item: &[u8]) -> Vec<u8> {
    let item = text::pack(item);
    let mut with = Vec::with_capacity(list.len() + item.len() + 1);
    push(&mut with, &item);
    entries(list)
        .filter(|known| *known != item)
        .take(MAX_VIEWED - 1)
        .for_each(|known| push(&mut with, known));
    with
}

fn entries(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = list.split_first()?;
        let (entry, older) = rest.split_at_checked(usize::from(length))?;
        list = older;
        Some(entry)
    })
}

fn push(list: &mut Vec<u8>, entry: &[u8]) {
    // At most MAX_ITEM_BYTES and the three that mark a raw text, so the length fits.
    list.push(entry.len() as u8);
    list.extend_from_slice(entry);
}
