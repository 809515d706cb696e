//! One limit of rate for each of many keys.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::gateway::sessions::{Rate, RateLeft};

/// A limiter by GCRA, in this process alone.
pub struct Limiter<K: Hash + Eq + Clone> {
    rate: Rate,
    keys: RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter of this rate; none where any number is allowed.
    pub fn new(rate: Rate) -> Option<Self> {
        let quota = Quota::with_period(one_every(rate)?)?;
        let at_once = NonZeroU32::MIN.saturating_add(rate.burst);
        Some(Self {
            rate,
            keys: RateLimiter::keyed(quota.allow_burst(at_once)).with_middleware(),
            clock: DefaultClock::default(),
        })
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one of the key's, and tells what is left; one that is refused takes nothing.
    pub fn take(&self, key: &K) -> RateLeft {
        let limit = i64::from(self.rate.burst) + 1;
        let (remaining, wait) = match self.keys.check_key(key) {
            Ok(left) => (i64::from(left.remaining_burst_capacity()), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.clock.now()))),
        };
        let gone = u32::try_from(limit - remaining).unwrap_or(u32::MAX);
        let refilling = one_every(self.rate).unwrap_or_default() * gone;
        RateLeft {
            limit,
            remaining,
            retry_after_s: wait.map_or(-1, whole_seconds),
            reset_after_s: whole_seconds(refilling),
        }
    }

    /// Forgets the keys whose limits are whole again, so that memory is bounded by who asked lately.
    pub fn forget_idle(&self) {
        self.keys.retain_recent();
        self.keys.shrink_to_fit();
    }
}

fn one_every(rate: Rate) -> Option<Duration> {
    let period = Duration::from_secs(rate.period_s.into());
    period
        .checked_div(rate.count)
        .filter(|every| !every.is_zero())
}

fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_millis().div_ceil(1_000);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32, count: u32, period_s: u32) -> Option<Limiter<u8>> {
        Limiter::new(Rate {
            burst,
            count,
            period_s,
        })
    }

    #[test]
    fn each_key_has_a_limit_of_its_own() {
        let limiter = limiter(2, 1, 3_600).expect("a limit");
        for remaining in [2, 1, 0] {
            let left = limiter.take(&1);
            assert_eq!(
                (left.limit, left.remaining, left.retry_after_s),
                (3, remaining, -1)
            );
        }
        let refused = limiter.take(&1);
        assert_eq!(refused.remaining, 0);
        assert!(
            (3_599..=3_600).contains(&refused.retry_after_s),
            "{refused:?}"
        );
        assert_eq!(limiter.take(&2).remaining, 2);
    }

    #[test]
    fn what_is_refused_takes_nothing_and_idle_keys_are_forgotten() {
        let limiter = limiter(0, 1_000_000, 1).expect("a limit");
        for key in 0..100 {
            limiter.take(&key);
        }
        // A microsecond each, after which they are as if they had never asked.
        let forgotten = std::time::Instant::now() + Duration::from_secs(10);
        while !limiter.keys.is_empty() && std::time::Instant::now() < forgotten {
            limiter.forget_idle();
        }
        assert!(limiter.keys.is_empty());
    }

    #[test]
    fn none_is_no_limit() {
        assert!(limiter(5, 0, 1).is_none());
    }
}
