//! What is left of a client's rates, told with each answer (draft-ietf-httpapi-ratelimit-headers-11):
//! `RateLimit-Policy` names each limit with its quota `q` in a window of `w` seconds, `RateLimit`
//! what remains of it (`r`) and the seconds until all of it is back (`t`).

use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Call, Problem};
use crate::gateway::sessions::{Rate, RateLeft};
use crate::limits::Limiter;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// The limits that a request was counted in.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    counted: Arc<Mutex<Vec<Quota>>>,
}

/// One limit, as the headers tell it.
#[derive(Debug)]
struct Quota {
    policy: String,
    left: String,
}

impl Quotas {
    /// Notes what is left of a limit.
    pub fn note(&self, name: &'static str, rate: Rate, left: RateLeft) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.push(Quota::of(name, rate, left));
    }

    /// Counts a request of `key`, and refuses one too many.
    pub fn take<K: std::hash::Hash + Eq + Clone>(
        &self,
        name: &'static str,
        limiter: &Limiter<K>,
        key: &K,
    ) -> Result<(), Problem> {
        let left = limiter.take(key);
        self.note(name, limiter.rate(), left);
        match u64::try_from(left.retry_after_s) {
            Ok(seconds) => {
                let what = format!("this {name} asks too often");
                Err(Problem::too_many_requests(&what, seconds))
            }
            Err(_) => Ok(()),
        }
    }

    /// Tells them.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.is_empty() {
            return;
        }
        let joined =
            |part: fn(&Quota) -> &str| counted.iter().map(part).collect::<Vec<_>>().join(", ");
        let told = [
            (POLICY, joined(|quota| &quota.policy)),
            (LEFT, joined(|quota| &quota.left)),
        ];
        for (header, value) in told {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(header, value);
            }
        }
    }
}

impl Call {
    /// Counts the request in its user's rate; guests have that of their session.
    pub(super) fn count_for_user(&self, user: uuid::Uuid) -> Result<(), Problem> {
        match &self.app.limits.user {
            Some(limiter) => self.quotas.take("user", limiter, &user),
            None => Ok(()),
        }
    }
}

impl Quota {
    fn of(name: &str, rate: Rate, left: RateLeft) -> Self {
        let at_once = u64::from(rate.burst) + 1;
        let window_s = (at_once * u64::from(rate.period_s)).div_ceil(u64::from(rate.count.max(1)));
        Self {
            policy: format!("\"{name}\";q={at_once};w={window_s}"),
            left: format!("\"{name}\";r={};t={}", left.remaining, left.reset_after_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 9,
        count: 4,
        period_s: 2,
    };

    #[test]
    fn each_limit_is_told_and_one_that_is_off_is_not() {
        let quotas = Quotas::default();
        let mut headers = HeaderMap::new();
        quotas.tell(&mut headers);
        assert!(headers.is_empty());
        for (name, remaining) in [("address", 8), ("user", 0)] {
            let left = RateLeft {
                limit: 10,
                remaining,
                retry_after_s: -1,
                reset_after_s: 10 - remaining,
            };
            quotas.note(name, RATE, left);
        }
        quotas.tell(&mut headers);
        assert_eq!(headers[POLICY], "\"address\";q=10;w=5, \"user\";q=10;w=5");
        assert_eq!(headers[LEFT], "\"address\";r=8;t=2, \"user\";r=0;t=10");
    }

    #[test]
    fn one_too_many_is_refused_and_told() {
        let quotas = Quotas::default();
        let slow = Rate {
            burst: 0,
            count: 1,
            period_s: 60,
        };
        let limiter = Limiter::new(slow).expect("a limit");
        assert!(quotas.take("user", &limiter, &1).is_ok());
        let refused = quotas.take("user", &limiter, &1).expect_err("one too many");
        assert_eq!(refused.kind(), crate::http::Kind::TooManyRequests);
        let mut headers = HeaderMap::new();
        quotas.tell(&mut headers);
        let told = headers[LEFT].to_str().expect("text");
        assert!(told.ends_with("\"user\";r=0;t=60"), "{told}");
    }
}
