//! Rate limiting by the Generic Cell Rate Algorithm (ITU-T I.371; in the form of brandur/redis-cell).
//!
//! All that is kept is the theoretical arrival time (TAT): when the bucket would be full again. A call takes a
//! token by moving it one emission interval on, unless that takes it too far ahead of now.

/// `count` calls a period on average, with a burst beyond the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls that may come at once beyond the first.
    pub burst: u64,
    /// Calls a period; at least 1.
    pub count: u64,
    /// The period in seconds; at least 1.
    pub period_s: u64,
}

/// The answer to one call: the five integers of redis-cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the call was refused. A refused call costs no token.
    pub limited: bool,
    /// The most calls that may come at once.
    pub limit: u64,
    /// How many more may come now.
    pub remaining: u64,
    /// Whole seconds until the next may come, rounded up; -1 when this one was not refused.
    pub retry_after_s: i64,
    /// Whole seconds until all of the limit is there again, rounded up.
    pub reset_after_s: u64,
    /// The TAT after the call, in Unix nanoseconds.
    pub tat_ns: u64,
}

const NS_PER_S: u128 = 1_000_000_000;

/// The farthest a bucket may reach: beyond it a time in nanoseconds would not fit a `u64` for long.
const MAX_REACH_NS: u128 = 10 * 365 * 86_400 * NS_PER_S;

impl Rate {
    /// The rate, or `None` when it has a zero where it must not, or would take years to refill.
    #[must_use]
    pub fn new(burst: u64, count: u64, period_s: u64) -> Option<Self> {
        let rate = Self {
            burst,
            count,
            period_s,
        };
        let sound = count > 0
            && period_s > 0
            && rate.interval_ns() > 0
            && rate.tolerance_ns() <= MAX_REACH_NS;
        sound.then_some(rate)
    }

    /// Takes a token at `now_ms`, `tat_ns` being the TAT so far (0 at first).
    #[must_use]
    pub fn take(&self, tat_ns: u64, now_ms: u64) -> Verdict {
        let (interval, tolerance) = (self.interval_ns(), self.tolerance_ns());
        let now = u128::from(now_ms) * 1_000_000;
        let tat = match u128::from(tat_ns) {
            // No call of this rate can have left it there: another rate did, or the clock went back. It counts as an
            // empty bucket with one token back, so that the session is slowed down and not locked out.
            foreign if foreign > now + tolerance => now + tolerance - interval,
            tat => tat.max(now),
        };
        let limited = tat + interval > now + tolerance;
        let ahead = if limited {
            tat - now
        } else {
            tat + interval - now
        };
        Verdict {
            limited,
            limit: self.burst.saturating_add(1),
            remaining: ((tolerance - ahead) / interval) as u64,
            retry_after_s: if limited {
                seconds(tat + interval - now - tolerance) as i64
            } else {
                -1
            },
            reset_after_s: seconds(ahead),
            tat_ns: u64::try_from(now + ahead).unwrap_or(u64::MAX),
        }
    }

    /// The time in which one token comes back.
    fn interval_ns(&self) -> u128 {
        u128::from(self.period_s) * NS_PER_S / u128::from(self.count)
    }

    fn tolerance_ns(&self) -> u128 {
        self.interval_ns()
            .saturating_mul(u128::from(self.burst) + 1)
    }
}

fn seconds(ns: u128) -> u64 {
    ns.div_ceil(NS_PER_S) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_one_an_interval() {
        let rate = Rate::new(2, 10, 60).unwrap();
        let now_ms = 1_000_000;
        let first = rate.take(0, now_ms);
        assert_eq!((first.limited, first.limit, first.remaining), (false, 3, 2));
        assert_eq!((first.retry_after_s, first.reset_after_s), (-1, 6));
        let third = rate.take(rate.take(first.tat_ns, now_ms).tat_ns, now_ms);
        assert_eq!(
            (third.limited, third.remaining, third.reset_after_s),
            (false, 0, 18)
        );
        let fourth = rate.take(third.tat_ns, now_ms + 1);
        assert_eq!(
            (fourth.limited, fourth.retry_after_s, fourth.reset_after_s),
            (true, 6, 18)
        );
        assert_eq!(fourth.tat_ns, third.tat_ns, "a refused call costs nothing");
        assert!(!rate.take(third.tat_ns, now_ms + 6_000).limited);
    }

    #[test]
    fn a_clock_that_went_back_or_another_rate_locks_nobody_out() {
        let slow = Rate::new(0, 1, 3_600).unwrap();
        let fast = Rate::new(1, 1, 1).unwrap();
        let left = slow.take(0, 1_000_000).tat_ns;
        let first = fast.take(left, 1_000_001);
        assert!(!first.limited);
        assert!(fast.take(first.tat_ns, 1_000_002).limited);
        assert!(!fast.take(first.tat_ns, 1_001_001).limited);
    }

    #[test]
    fn senseless_rates_are_refused() {
        assert_eq!(Rate::new(1, 0, 1), None);
        assert_eq!(Rate::new(1, 1, 0), None);
        assert_eq!(Rate::new(u64::MAX, 1, u64::MAX), None);
        assert_eq!(Rate::new(1, u64::MAX, 1), None);
    }
}
