//! What one request of a visitor does to the session.

use crate::limits::LONGEST_GRACE_MS;
use crate::packed::Head;
use crate::profile::Profile;
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
    /// Whose it is; nobody's if it is not live, as nothing of it is told then.
    pub user: Vec<u8>,
    /// What that user may do.
    pub roles: Vec<u8>,
    /// How many views there are afterwards.
    pub page_views: u64,
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
        let parts = self.parts();
        let mut head = parts.head;
        let left = match head.left(now_ms) {
            Ok(left) if head.accepts(&touch.digest, now_ms) => left,
            Ok(_) => return Touched::refused(State::BadSecret),
            Err(state) => return Touched::refused(state),
        };
        let verdict = touch.rate.map(|rate| rate.take(head.tat_ns, now_ms));
        let limited = verdict.is_some_and(|verdict| verdict.limited);
        let tat_ns = verdict.map(|verdict| verdict.tat_ns);
        let effect = (!limited).then(|| Effect::Touched {
            at_ms: now_ms,
            page: touch.page.map(<[u8]>::to_vec),
            item: touch.item.map(<[u8]>::to_vec),
            tat_ns,
        });
        if !limited {
            head.touch(now_ms, touch.page.is_some() || touch.item.is_some(), tat_ns);
        }
        let (user, roles) = Profile::user_and_roles(parts.texts);
        Touched {
            state: if limited {
                State::RateLimited
            } else {
                State::Ok
            },
            user,
            roles,
            page_views: head.page_views,
            left: head.left(now_ms).unwrap_or(left),
            verdict,
            effect,
        }
    }
}

impl Head {
    /// What a touch changes, but for page and item.
    pub(crate) fn touch(&mut self, at_ms: u64, is_view: bool, tat_ns: Option<u64>) {
        // A clock that went back must not shorten what the last touch gave.
        self.activity_ms = self.activity_ms.max(at_ms);
        if is_view {
            self.page_views = self.page_views.saturating_add(1).min(i64::MAX as u64);
        }
        self.tat_ns = tat_ns.unwrap_or(self.tat_ns);
        // Long after its grace, nobody repeats a rotation any more, and the old digest need not be known.
        self.previous = self
            .previous
            .filter(|old| at_ms < old.until_ms.saturating_add(LONGEST_GRACE_MS));
    }

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
            user: Vec::new(),
            roles: Vec::new(),
            page_views: 0,
            left: Left {
                idle_ms: 0,
                absolute_ms: 0,
            },
            verdict: None,
            effect: None,
        }
    }
}
