//! What the copy of a session is good for. Pure.

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::gateway::sessions::Touched;

/// The copy may miss the requests of so long, ms: it is written behind each second.
const AGE_MS: i64 = 3_000;
/// A session with less time left is not brought back, ms: it may have run out in Redis a moment ago.
const MARGIN_MS: i64 = 1_000;

/// A session as MySQL has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCopy {
    /// SHA-256 of its secret.
    pub digest: [u8; 32],
    /// Whose it is.
    pub user: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// Until it ends without a request, ms; it may have had one that is not copied yet.
    pub idle_ms: i64,
    /// How long it may go without one, ms.
    pub longest_idle_ms: i64,
    /// Until it ends in any case, ms.
    pub absolute_ms: i64,
    /// Whether it was ended.
    pub is_ended: bool,
}

/// What it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To answer in the place of Redis, which is away.
    InPlace,
    /// To begin a session again that Redis does not know.
    BringBack,
}

/// What `SESSION.TOUCH` would say by the copy, of who shows a secret with this digest. Views are not
/// copied.
pub fn judge(copy: Option<&SessionCopy>, digest: [u8; 32], used: Use) -> Touched {
    let Some(copy) = copy.filter(|copy| !copy.is_ended) else {
        return refused("ABSENT");
    };
    // To be brought back is to be heard of, which is not written down in place of Redis.
    let (idle_ms, absolute_ms, left_ms) = match used {
        Use::InPlace => (copy.idle_ms + AGE_MS, copy.absolute_ms, copy.idle_ms),
        Use::BringBack => (
            copy.idle_ms - MARGIN_MS,
            copy.absolute_ms - MARGIN_MS,
            copy.longest_idle_ms,
        ),
    };
    // Equal time for every wrong secret, as in the module.
    if !bool::from(copy.digest.ct_eq(&digest)) {
        refused("BAD_SECRET")
    } else if absolute_ms <= 0 {
        refused("ABSOLUTE_EXPIRED")
    } else if idle_ms <= 0 {
        refused("IDLE_EXPIRED")
    } else {
        Touched {
            state: "OK".into(),
            user: copy.user.to_string(),
            roles: copy.roles.clone(),
            idle_ms: left_ms.clamp(1, copy.absolute_ms),
            absolute_ms: copy.absolute_ms,
            ..Touched::default()
        }
    }
}

fn refused(state: &str) -> Touched {
    Touched {
        state: state.into(),
        ..Touched::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: [u8; 32] = [7; 32];

    fn copy() -> SessionCopy {
        SessionCopy {
            digest: DIGEST,
            user: Uuid::from_u128(1),
            roles: "customer".into(),
            idle_ms: 5_000,
            longest_idle_ms: 9_000,
            absolute_ms: 60_000,
            is_ended: false,
        }
    }

    fn state(copy: SessionCopy, used: Use) -> String {
        judge(Some(&copy), DIGEST, used).state
    }

    #[test]
    fn a_live_copy_says_what_redis_would() {
        let touched = judge(Some(&copy()), DIGEST, Use::InPlace);
        assert_eq!(touched.state, "OK");
        assert_eq!(touched.user, Uuid::from_u128(1).to_string());
        assert_eq!((touched.idle_ms, touched.absolute_ms), (5_000, 60_000));
        let touched = judge(Some(&copy()), DIGEST, Use::BringBack);
        assert_eq!((touched.idle_ms, touched.absolute_ms), (9_000, 60_000));
    }

    #[test]
    fn who_shows_another_secret_or_has_logged_out_has_no_session() {
        for used in [Use::InPlace, Use::BringBack] {
            assert_eq!(judge(Some(&copy()), [8; 32], used).state, "BAD_SECRET");
            let ended = SessionCopy {
                is_ended: true,
                ..copy()
            };
            assert_eq!(state(ended, used), "ABSENT");
            assert_eq!(judge(None, DIGEST, used).state, "ABSENT");
        }
    }

    #[test]
    fn requests_that_are_not_copied_yet_are_allowed_for_in_place_and_not_to_bring_back() {
        let at = |idle_ms, absolute_ms, used| {
            let copy = SessionCopy {
                idle_ms,
                absolute_ms,
                ..copy()
            };
            state(copy, used)
        };
        assert_eq!(at(-AGE_MS + 1, 60_000, Use::InPlace), "OK");
        assert_eq!(at(-AGE_MS, 60_000, Use::InPlace), "IDLE_EXPIRED");
        assert_eq!(at(5_000, 0, Use::InPlace), "ABSOLUTE_EXPIRED");
        assert_eq!(at(MARGIN_MS + 1, 60_000, Use::BringBack), "OK");
        assert_eq!(at(MARGIN_MS, 60_000, Use::BringBack), "IDLE_EXPIRED");
        assert_eq!(at(5_000, MARGIN_MS, Use::BringBack), "ABSOLUTE_EXPIRED");
    }
}
