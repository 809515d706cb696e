//! What a circuit breaker decides (M. Nygard, *Release It!*, ch. 5). Pure: the time is passed in.

use std::time::{Duration, Instant};

/// When the breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// It opens after this many failures without a success in between.
    pub failures: u32,
    /// It stays open this long before one call is let through.
    pub open_for: Duration,
}

/// Whether calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All are.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// None is.
    Open {
        /// From then on one is.
        until: Instant,
    },
    /// One was, to try; its outcome decides.
    HalfOpen {
        /// From then on it is given up and another one is let through.
        until: Instant,
    },
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered, if only with a no.
    Answered,
    /// It did not answer in time, or that it cannot.
    Failed,
}

impl State {
    /// A breaker that has seen nothing.
    pub const NEW: State = State::Closed { failures: 0 };

    /// Whether a call would be let through.
    pub fn lets_through(self, now: Instant) -> bool {
        match self {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } => now >= until,
        }
    }

    /// The state after a call asks to be let through, and whether it is.
    pub fn admit(self, limits: Limits, now: Instant) -> (State, bool) {
        let is_admitted = self.lets_through(now);
        match self {
            State::Open { .. } | State::HalfOpen { .. } if is_admitted => {
                let until = now + limits.open_for;
                (State::HalfOpen { until }, true)
            }
            _ => (self, is_admitted),
        }
    }

    /// The state after a call that was let through came back.
    pub fn after(self, outcome: Outcome, limits: Limits, now: Instant) -> State {
        match (self, outcome) {
            (State::Closed { failures }, Outcome::Failed) if failures + 1 < limits.failures => {
                State::Closed {
                    failures: failures + 1,
                }
            }
            (State::Closed { .. } | State::HalfOpen { .. }, Outcome::Failed) => State::Open {
                until: now + limits.open_for,
            },
            (State::Closed { .. } | State::HalfOpen { .. }, Outcome::Answered) => State::NEW,
            // A call from before it opened; what it met is old news.
            (State::Open { .. }, _) => self,
        }
    }

    /// The state when there is reason to try at once.
    pub fn hastened(self, now: Instant) -> State {
        match self {
            State::Closed { .. } => self,
            State::Open { .. } | State::HalfOpen { .. } => State::Open { until: now },
        }
    }

    /// True unless every call is let through.
    pub fn is_open(self) -> bool {
        !matches!(self, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        failures: 3,
        open_for: Duration::from_secs(5),
    };

    fn opened(now: Instant) -> State {
        (0..LIMITS.failures).fold(State::NEW, |state, _| {
            state.after(Outcome::Failed, LIMITS, now)
        })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_only_then() {
        let now = Instant::now();
        let mut state = State::NEW;
        for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Answered] {
            state = state.after(outcome, LIMITS, now);
            assert_eq!(state.admit(LIMITS, now), (state, true));
        }
        assert_eq!(state, State::NEW);
        let until = now + LIMITS.open_for;
        assert_eq!(opened(now), State::Open { until });
        assert_eq!(
            opened(now).admit(LIMITS, now),
            (State::Open { until }, false)
        );
    }

    #[test]
    fn after_its_time_one_call_tries_for_all() {
        let now = Instant::now();
        let later = now + LIMITS.open_for;
        let (half, admitted) = opened(now).admit(LIMITS, later);
        assert!(admitted && half.is_open());
        assert_eq!(half.admit(LIMITS, later), (half, false));

        let closed = half.after(Outcome::Answered, LIMITS, later);
        assert_eq!(closed, State::NEW);
        let reopened = half.after(Outcome::Failed, LIMITS, later);
        let until = later + LIMITS.open_for;
        assert_eq!(reopened, State::Open { until });
    }

    #[test]
    fn a_trial_that_never_comes_back_does_not_keep_it_open() {
        let now = Instant::now();
        let (half, _) = opened(now).admit(LIMITS, now + LIMITS.open_for);
        let (_, admitted) = half.admit(LIMITS, now + 2 * LIMITS.open_for);
        assert!(admitted);
    }

    #[test]
    fn when_something_was_done_one_call_tries_at_once() {
        let now = Instant::now();
        assert_eq!(State::NEW.hastened(now), State::NEW);
        let (half, _) = opened(now).admit(LIMITS, now + LIMITS.open_for);
        for waiting in [opened(now), half] {
            let hastened = waiting.hastened(now);
            // What a trial from before meets is old news.
            assert_eq!(hastened.after(Outcome::Failed, LIMITS, now), hastened);
            assert!(hastened.admit(LIMITS, now).1);
        }
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let now = Instant::now();
        let open = opened(now);
        let later = now + Duration::from_secs(1);
        assert_eq!(open.after(Outcome::Answered, LIMITS, later), open);
        assert_eq!(open.after(Outcome::Failed, LIMITS, later), open);
    }
}
