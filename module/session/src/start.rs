//! How a session starts.

use crate::{Digest, Effect, Fields, Left, Misuse, Record, Viewed};

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
        let mut record = Record {
            digest: self.digest,
            previous: None,
            user: Box::default(),
            roles: Box::default(),
            login_ms: now_ms,
            activity_ms: now_ms,
            idle_ms: self.idle_ms,
            absolute_ms: self.absolute_ms,
            page: Box::default(),
            page_views: 0,
            viewed: Viewed::default(),
            fields: Fields::default(),
            tat_ns: 0,
        };
        record.set_all(&[(b"user", self.user), (b"roles", self.roles)])?;
        let named = self
            .fields
            .iter()
            .find(|(name, _)| matches!(*name, b"user" | b"roles"));
        if let Some((name, _)) = named {
            return Err(Misuse::Kept(if *name == b"user" {
                "user"
            } else {
                "roles"
            }));
        }
        record.set_all(&self.fields)?;
        if let Some((live, left)) = present.and_then(|live| Some((live, live.left(now_ms).ok()?))) {
            let same = live.digest == self.digest && *live.user == *self.user;
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
        Ok(Started::New(left, Effect::Put(Box::new(record))))
    }
}
