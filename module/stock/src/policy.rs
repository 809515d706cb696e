//! How long holds may last, and how much one decision may clear away.

/// The longest that [`Policy::longest_hold_ms`] may be set to, in milliseconds: a day.
pub const MAX_HOLD_MS: u64 = 86_400_000;

/// The limits of a decision. Those of deadlines are an operator's and rule new ones; holds that are live already keep
/// theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a hold lasts when RESERVE names no deadline, in milliseconds; cut to the longest.
    pub default_hold_ms: u64,
    /// The longest time a hold may run before its deadline, in milliseconds, up to [`MAX_HOLD_MS`].
    pub longest_hold_ms: u64,
    /// The most holds past due that are expired to have their units. Those beyond it are past due in every answer all the
    /// same, and the sweep's work: a million that fell due at one instant would have to be waited for.
    pub expires_at_once: usize,
}

impl Policy {
    /// The policy for each of so many keys on which one command decides. They share what it may expire, but each has
    /// one: as a command takes one hold of a key, buyers never leave more behind than they found.
    #[must_use]
    pub fn shared_by(self, keys: usize) -> Self {
        let share = self.expires_at_once / keys.max(1);
        Self {
            expires_at_once: share.max(1),
            ..self
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_hold_ms: 120_000,
            longest_hold_ms: 3_600_000,
            expires_at_once: 256,
        }
    }
}
