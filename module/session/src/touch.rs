//! What one request of a visitor does to the session.

use crate::packed::Head;
use crate::{Digest, Effect, Left, Rate, Record, State, Verdict};

/// What TOUCH asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch<'a> {
    /// The digest of the secret that the visitor brought.
    pub digest: Digest,
    /// The page that is viewed.
    pub page: Option<&'a [u8]>,
    /// The item that is viewed.
    pub item: Option<&'a [u8]>,
    /// The rate at which the session may be touched.
    pub rate: Option<Rate>,
}

/// What TOUCH came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The answer; the session is live for [`State::Ok`] and [`State::RateLimited`] only.
    pub state: State,
    /// What is left of it afterwards; zeros if it is not live.
    pub left: Left,
    /// The verdict of the rate, if it was asked for and the session is live.
    pub verdict: Option<Verdict>,
    /// What changes; nothing unless the state is [`State::Ok`].
    pub effect: Option<Effect>,
}

impl Record {
    /// Decides at `now_ms` (Unix milliseconds). A view is counted when a page or an item is named: a request
    /// that shows nothing only keeps the session alive.
    #[must_use]
    pub fn touch(&self, touch: &Touch<'_>, now_ms: u64) -> Touched {
        let head = self.head();
        let left = match head.left(now_ms) {
            Ok(left) if head.accepts(&touch.digest, now_ms) => left,
            Ok(_) => return Touched::refused(State::BadSecret),
            Err(state) => return Touched::refused(state),
        };
        let verdict = touch.rate.map(|rate| rate.take(head.tat_ns, now_ms));
        if verdict.is_some_and(|verdict| verdict.limited) {
            return Touched {
                state: State::RateLimited,
                left,
                verdict,
                effect: None,
            };
        }
        let effect = Effect::Touched {
            at_ms: now_ms,
            page: touch.page.map(<[u8]>::to_vec),
            item: touch.item.map(<[u8]>::to_vec),
            tat_ns: verdict.map(|verdict| verdict.tat_ns),
        };
        // A clock that went back must not shorten what the last touch gave.
        let left = Left {
            idle_ms: left.idle_ms.max(head.idle_ms),
            ..left
        };
        Touched {
            state: State::Ok,
            left,
            verdict,
            effect: Some(effect),
        }
    }
}

impl Head {
    /// Whether the digest is that of its secret, or of the one before while that still works.
    fn accepts(&self, digest: &Digest, now_ms: u64) -> bool {
        self.digest == *digest
            || self
                .previous
                .is_some_and(|old| old.digest == *digest && now_ms < old.until_ms)
    }
}

impl Touched {
    /// The answer where there is no live session to touch.
    #[must_use]
    pub fn refused(state: State) -> Self {
        Self {
            state,
            left: Left {
                idle_ms: 0,
                absolute_ms: 0,
            },
            verdict: None,
            effect: None,
        }
    }
}
