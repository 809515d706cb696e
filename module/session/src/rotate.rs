//! How a session gets a new secret.

use crate::{Digest, Effect, Record, State};

impl Record {
    /// What ROTATE comes to at `now_ms` (Unix milliseconds); the old secret works for `grace_ms` more.
    ///
    /// Only the newest secret can be rotated: whoever stole the one before must not gain a session by it. The same
    /// rotation again is a retry, which changes nothing.
    #[must_use]
    pub fn rotate(
        &self,
        old: &Digest,
        new: &Digest,
        grace_ms: u64,
        now_ms: u64,
    ) -> (State, Option<Effect>) {
        let head = self.head();
        if let Err(state) = head.left(now_ms) {
            return (state, None);
        }
        let done = head.digest == *new
            && head
                .previous
                .is_some_and(|previous| previous.digest == *old);
        if done {
            return (State::Ok, None);
        }
        if head.digest != *old {
            return (State::BadSecret, None);
        }
        let grace_until_ms = now_ms.saturating_add(grace_ms);
        (
            State::Ok,
            Some(Effect::Rotated {
                digest: *new,
                grace_until_ms,
            }),
        )
    }
}
