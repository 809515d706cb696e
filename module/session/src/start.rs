//! How a session starts.

use crate::packed::Head;
use crate::profile::{Profile, free_name};
use crate::{Digest, Effect, Left, Misuse, Record};

/// What START asks for. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// The digest of its secret.
    pub digest: Digest,
    /// Whose it is.
    pub user: &'a [u8],
    /// What that user may do.
    pub roles: &'a [u8],
    /// The idle timeout.
    pub idle_ms: u64,
    /// The absolute timeout.
    pub absolute_ms: u64,
    /// Free fields.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
}

/// What START came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It starts.
    New(Left, Effect),
    /// It had been started with the same secret for the same user: this is a retry, and nothing changes.
    Again(Left),
    /// Another one is live under the key.
    Exists,
}

impl Start<'_> {
    /// Decides against what is under the key, at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// [`Misuse`] when the user, the roles or a field cannot be set.
    pub fn decide(&self, present: Option<&Record>, now_ms: u64) -> Result<Started, Misuse> {
        let mut profile = Profile::default();
        profile.set(b"user", self.user)?;
        profile.set(b"roles", self.roles)?;
        for (name, value) in &self.fields {
            profile.set_field(free_name(name).unwrap_or(name), value)?;
        }
        if let Some((live, left)) = present.and_then(|live| Some((live, live.left(now_ms).ok()?))) {
            let same = live.head().digest == self.digest && live.user() == self.user;
            return Ok(if same {
                Started::Again(left)
            } else {
                Started::Exists
            });
        }
        let left = Left {
            idle_ms: self.idle_ms,
            absolute_ms: self.absolute_ms,
        };
        let head = Head {
            digest: self.digest,
            previous: None,
            login_ms: now_ms,
            activity_ms: now_ms,
            idle_ms: self.idle_ms,
            absolute_ms: self.absolute_ms,
            page_views: 0,
            tat_ns: 0,
        };
        let record = Record::new(head, b"", b"", &profile);
        Ok(Started::New(left, Effect::Put(Box::new(record))))
    }
}
