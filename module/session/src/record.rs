//! The session itself and how it is read and written.

use std::fmt;

use crate::packed::{Head, Parts};
use crate::profile::{Profile, free_name};
use crate::{Effect, Misuse, text, viewed};

/// One session, packed as [`crate::packed`] says.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    block: Box<[u8]>,
}

impl Record {
    /// A session of these parts; the items of [`crate::viewed`].
    pub(crate) fn new(head: Head, page: &[u8], viewed: &[u8], profile: &Profile) -> Self {
        let parts = Parts {
            head,
            page: &pack_page(page),
            viewed,
            texts: &profile.pack(),
        };
        Self {
            block: parts.write().into_boxed_slice(),
        }
    }

    /// Whose session it is.
    #[must_use]
    pub fn user(&self) -> Vec<u8> {
        Profile::user_and_roles(self.parts().texts).0
    }

    /// What that user may do, in the caller's own notation.
    #[must_use]
    pub fn roles(&self) -> Vec<u8> {
        Profile::user_and_roles(self.parts().texts).1
    }

    /// When it started, in Unix milliseconds.
    #[must_use]
    pub fn login_ms(&self) -> u64 {
        self.head().login_ms
    }

    /// When it was touched last, in Unix milliseconds.
    #[must_use]
    pub fn activity_ms(&self) -> u64 {
        self.head().activity_ms
    }

    /// The page that was viewed last.
    #[must_use]
    pub fn page(&self) -> Vec<u8> {
        text::unpack(self.parts().page)
    }

    /// How many views there were.
    #[must_use]
    pub fn page_views(&self) -> u64 {
        self.head().page_views
    }

    /// The items viewed last, newest first, none twice.
    #[must_use]
    pub fn viewed(&self) -> Vec<Vec<u8>> {
        viewed::unpack(self.parts().viewed)
    }

    /// Names and values of the free fields, in the order of their first setting.
    #[must_use]
    pub fn fields(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.profile().fields
    }

    /// The values of free fields, by their names with or without the prefix. They are unpacked once, however many are
    /// named.
    #[must_use]
    pub fn values(&self, names: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let profile = self.profile();
        let value = |name| profile.field(free_name(name).unwrap_or(name));
        let values = names.iter().map(|name| value(name));
        values.map(|value| value.map(<[u8]>::to_vec)).collect()
    }

    /// What SET comes to; `None` when every field has its value already.
    ///
    /// # Errors
    /// [`Misuse`] when a field cannot be set; then none is.
    pub fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<Option<Effect>, Misuse> {
        let before = self.profile();
        let mut after = before.clone();
        for (name, value) in pairs {
            match free_name(name) {
                Some(name) => after.set_field(name, value)?,
                None => after.set(name, value)?,
            }
        }
        let pairs = pairs
            .iter()
            .map(|(name, value)| (free_name(name).unwrap_or(name).to_vec(), value.to_vec()))
            .collect();
        Ok((after != before).then_some(Effect::Set { pairs }))
    }

    /// The bytes that it takes on the heap, those under the value's own pointer among them.
    #[must_use]
    pub fn memory(&self) -> usize {
        allocated(size_of::<Self>()) + allocated(self.block.len())
    }

    /// Moves it to a new place on the heap, for a server that mends its memory.
    pub fn renew(&mut self) {
        self.block = self.block.clone();
    }

    pub(crate) fn head(&self) -> Head {
        self.parts().head
    }

    pub(crate) fn profile(&self) -> Profile {
        Profile::unpack(self.parts().texts)
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        // Nobody but `Parts::write` makes a block, so every block can be read.
        Parts::read(&self.block).unwrap_or(Parts::NONE)
    }

    pub(crate) fn set_all(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Misuse> {
        let mut profile = self.profile();
        for (name, value) in pairs {
            profile.set(name, value)?;
        }
        let texts = profile.pack();
        let parts = self.parts();
        self.keep(
            Parts {
                texts: &texts,
                ..parts
            }
            .write(),
        );
        Ok(())
    }

    pub(crate) fn change_head(&mut self, change: impl FnOnce(&mut Head)) {
        let mut parts = self.parts();
        change(&mut parts.head);
        self.keep(parts.write());
    }

    /// Keeps what TOUCH changes: the head, and the page and the item if there is one.
    pub(crate) fn keep_view(
        &mut self,
        page: Option<&[u8]>,
        item: Option<&[u8]>,
        change: impl FnOnce(&mut Head),
    ) {
        let mut parts = self.parts();
        change(&mut parts.head);
        let page = page.map(pack_page);
        let viewed = item.map(|item| viewed::with(parts.viewed, item));
        parts.page = page.as_deref().unwrap_or(parts.page);
        parts.viewed = viewed.as_deref().unwrap_or(parts.viewed);
        self.keep(parts.write());
    }

    fn keep(&mut self, block: Vec<u8>) {
        if block.len() == self.block.len() {
            self.block.copy_from_slice(&block);
        } else {
            self.block = block.into_boxed_slice();
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("head", &self.head())
            .field("page", &self.page().escape_ascii().to_string())
            .field("viewed", &self.viewed())
            .field("profile", &self.profile())
            .finish()
    }
}

fn pack_page(page: &[u8]) -> Vec<u8> {
    if page.is_empty() {
        Vec::new()
    } else {
        text::pack(page)
    }
}

/// What an allocator of size classes, such as the servers' jemalloc, takes for so many bytes: a multiple of 16, above
/// 128 a quarter of a power of two.
fn allocated(bytes: usize) -> usize {
    let step = match bytes {
        0..=128 => 16,
        _ => bytes.next_power_of_two() / 8,
    };
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_jemalloc() {
        let classes = [
            (1, 16),
            (16, 16),
            (97, 112),
            (128, 128),
            (129, 160),
            (257, 320),
            (512, 512),
            (513, 640),
            (1_025, 1_280),
        ];
        for (bytes, class) in classes {
            assert_eq!(allocated(bytes), class, "{bytes}");
        }
    }
}
