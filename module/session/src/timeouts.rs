//! When a session ends.

use crate::Record;
use crate::packed::Head;

/// How a session answers, or why it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is live and the secret is right.
    Ok,
    /// There is none.
    Absent,
    /// The secret is not its secret.
    BadSecret,
    /// Nothing was heard of it for the idle timeout.
    IdleExpired,
    /// It has lasted for the absolute timeout.
    AbsoluteExpired,
    /// It is live, but too fast.
    RateLimited,
}

impl State {
    /// The state as it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Absent => "ABSENT",
            Self::BadSecret => "BAD_SECRET",
            Self::IdleExpired => "IDLE_EXPIRED",
            Self::AbsoluteExpired => "ABSOLUTE_EXPIRED",
            Self::RateLimited => "RATE_LIMITED",
        }
    }
}

/// How long a session still lasts, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// If it stays idle.
    pub idle_ms: u64,
    /// Whatever it does.
    pub absolute_ms: u64,
}

impl Record {
    /// What is left of it at `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// [`State::AbsoluteExpired`] or [`State::IdleExpired`] when nothing is.
    pub fn left(&self, now_ms: u64) -> Result<Left, State> {
        self.head().left(now_ms)
    }

    /// When it ends if nothing more is heard of it: the nearer of both deadlines, in Unix milliseconds.
    #[must_use]
    pub fn ends_ms(&self) -> u64 {
        let head = self.head();
        head.idle_deadline_ms().min(head.absolute_deadline_ms())
    }
}

impl Head {
    pub(crate) fn left(&self, now_ms: u64) -> Result<Left, State> {
        let left =
            |deadline_ms: u64| Some(deadline_ms.saturating_sub(now_ms)).filter(|left| *left > 0);
        let absolute_ms = left(self.absolute_deadline_ms()).ok_or(State::AbsoluteExpired)?;
        let idle_ms = left(self.idle_deadline_ms()).ok_or(State::IdleExpired)?;
        Ok(Left {
            idle_ms,
            absolute_ms,
        })
    }

    pub(crate) fn absolute_deadline_ms(&self) -> u64 {
        self.login_ms.saturating_add(self.absolute_ms)
    }

    fn idle_deadline_ms(&self) -> u64 {
        self.activity_ms.saturating_add(self.idle_ms)
    }
}
