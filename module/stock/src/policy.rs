//! How long holds may last.

/// The longest that [`Policy::longest_hold_ms`] may be set to, in milliseconds: a day.
pub const MAX_HOLD_MS: u64 = 86_400_000;

/// The limits that an operator sets for new deadlines. Holds that are live already keep theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a hold lasts when RESERVE names no deadline, in milliseconds; cut to the longest.
    pub default_hold_ms: u64,
    /// The longest time a hold may run before its deadline, in milliseconds, up to [`MAX_HOLD_MS`].
    pub longest_hold_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_hold_ms: 120_000,
            longest_hold_ms: 3_600_000,
        }
    }
}
