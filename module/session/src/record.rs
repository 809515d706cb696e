//! The session itself and how it is read and written.

use thiserror::Error;

use crate::limits::{
    MAX_FIELD_NAME_BYTES, MAX_FIELD_VALUE_BYTES, MAX_FIELDS, MAX_ROLES_BYTES, MAX_USER_BYTES,
};
use crate::{Digest, Effect, Fields, Viewed};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(crate) digest: Digest,
    pub(crate) previous: Option<Box<Previous>>,
    pub(crate) user: Box<[u8]>,
    pub(crate) roles: Box<[u8]>,
    pub(crate) login_ms: u64,
    pub(crate) activity_ms: u64,
    pub(crate) idle_ms: u64,
    pub(crate) absolute_ms: u64,
    pub(crate) page: Box<[u8]>,
    pub(crate) page_views: u64,
    pub(crate) viewed: Viewed,
    pub(crate) fields: Fields,
    /// The theoretical arrival time of [`crate::Rate`], in Unix nanoseconds.
    pub(crate) tat_ns: u64,
}

/// The secret that was rotated away last, and until when it still works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) digest: Digest,
    pub(crate) until_ms: u64,
}

/// Fields that cannot be set. Nothing has changed, and repeating the same command gives the same error.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misuse {
    /// A field that only the module writes.
    #[error("field '{0}' is kept by the module and cannot be set")]
    Kept(&'static str),
    /// A user that is empty or too long.
    #[error("user must be 1 to {MAX_USER_BYTES} bytes long")]
    User,
    /// Roles that are too long.
    #[error("roles must be at most {MAX_ROLES_BYTES} bytes long")]
    Roles,
    /// A free field that is too long, or one too many.
    #[error(
        "a session has at most {MAX_FIELDS} free fields, with names of 1 to {MAX_FIELD_NAME_BYTES} bytes \
         and values of up to {MAX_FIELD_VALUE_BYTES}"
    )]
    Field,
}

/// The fields that START and TOUCH keep; SET may write the first two only.
const KEPT: [&str; 8] = [
    "user",
    "roles",
    "login_ms",
    "activity_ms",
    "page",
    "page_views",
    "idle_ms_left",
    "absolute_ms_left",
];

impl Record {
    /// Whose session it is.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// What that user may do, in the caller's own notation.
    #[must_use]
    pub fn roles(&self) -> &[u8] {
        &self.roles
    }

    /// When it started, in Unix milliseconds.
    #[must_use]
    pub fn login_ms(&self) -> u64 {
        self.login_ms
    }

    /// When it was touched last, in Unix milliseconds.
    #[must_use]
    pub fn activity_ms(&self) -> u64 {
        self.activity_ms
    }

    /// The page that was viewed last.
    #[must_use]
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    /// How many views there were.
    #[must_use]
    pub fn page_views(&self) -> u64 {
        self.page_views
    }

    /// The items viewed last.
    #[must_use]
    pub fn viewed(&self) -> &Viewed {
        &self.viewed
    }

    /// The free fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// What SET comes to; `None` when every field has its value already.
    ///
    /// # Errors
    /// [`Misuse`] when a field cannot be set; then none is.
    pub fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<Option<Effect>, Misuse> {
        let mut changed = self.clone();
        changed.set_all(pairs)?;
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        Ok((changed != *self).then_some(Effect::Set { pairs }))
    }

    /// An estimate of its memory in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, |_| size_of::<Previous>());
        let texts = self.user.len() + self.roles.len() + self.page.len();
        size_of::<Self>() + previous + texts + self.viewed.bytes() + self.fields.bytes()
    }

    pub(crate) fn set_all(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Misuse> {
        for &(name, value) in pairs {
            match name {
                b"user" if (1..=MAX_USER_BYTES).contains(&value.len()) => self.user = value.into(),
                b"user" => return Err(Misuse::User),
                b"roles" if value.len() <= MAX_ROLES_BYTES => self.roles = value.into(),
                b"roles" => return Err(Misuse::Roles),
                _ => match KEPT.iter().find(|kept| kept.as_bytes() == name) {
                    Some(kept) => return Err(Misuse::Kept(kept)),
                    None => self.fields = self.fields.with(name, value).ok_or(Misuse::Field)?,
                },
            }
        }
        Ok(())
    }
}
