//! A circuit breaker: a server that fails again and again is left alone for a while, so that nobody
//! waits for it. [`state`] decides, this keeps the state, shows it, and tells the log when it turns.

pub mod state;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::gauge::Gauge;

pub use state::{Limits, Outcome, State};

/// The breaker before one server.
#[derive(Debug)]
pub struct Breaker {
    /// Who is behind it, as the log names it.
    server: &'static str,
    limits: Limits,
    kept: Mutex<Kept>,
    /// Counts the breakers that let no calls through.
    open: Gauge,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    state: State,
    /// How often it has opened.
    openings: u64,
}

impl Breaker {
    /// A closed breaker before `server`; `open` counts those that let none through.
    pub fn new(server: &'static str, limits: Limits, open: Gauge) -> Self {
        let kept = Kept {
            state: State::NEW,
            openings: 0,
        };
        Self {
            server,
            limits,
            kept: Mutex::new(kept),
            open,
        }
    }

    /// Whether a call may be made now. Of an open breaker, one call after another is let through
    /// to try, each when its time has come; the outcome is to be noted.
    pub fn admits(&self) -> bool {
        self.change(|state| state.admit(self.limits, Instant::now()))
    }

    /// Whether a call would be let through.
    pub fn would_admit(&self) -> bool {
        self.kept().state.lets_through(Instant::now())
    }

    /// True unless every call is let through.
    pub fn is_open(&self) -> bool {
        self.kept().state.is_open()
    }

    /// How often it has opened.
    pub fn openings(&self) -> u64 {
        self.kept().openings
    }

    /// Notes what came of a call.
    pub fn note(&self, outcome: Outcome) {
        self.note_if(|_| true, outcome);
    }

    /// As [`Breaker::note`], where only who tries on purpose may close it: of any other call it is
    /// not known whether it was sent before the breaker opened.
    pub fn note_unless_open(&self, outcome: Outcome) {
        self.note_if(|state| !state.is_open(), outcome);
    }

    /// Lets a call through at once if it is open: another server stands behind it now.
    pub fn hasten(&self) {
        self.change(|state| (state.hastened(Instant::now()), ()));
    }

    fn note_if(&self, counts: impl FnOnce(State) -> bool, outcome: Outcome) {
        let (before, after) = self.change(|before| {
            let after = match counts(before) {
                true => before.after(outcome, self.limits, Instant::now()),
                false => before,
            };
            (after, (before, after))
        });
        match (before, after) {
            (State::Closed { .. }, State::Open { .. }) => {
                tracing::warn!(
                    server = self.server,
                    "it fails again and again, and is left alone for a while"
                );
            }
            (State::HalfOpen { .. }, State::Closed { .. }) => {
                tracing::info!(server = self.server, "it answers again");
            }
            _ => {}
        }
    }

    fn kept(&self) -> Kept {
        // What is kept is replaced whole, so a panic elsewhere cannot have left half of it.
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(State) -> (State, T)) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.state;
        let (after, result) = change(before);
        kept.state = after;
        match (before.is_open(), after.is_open()) {
            (false, true) => {
                kept.openings += 1;
                self.open.inc();
            }
            (true, false) => {
                self.open.dec();
            }
            _ => {}
        }
        result
    }
}

impl Drop for Breaker {
    /// A server that is not used any more is not away.
    fn drop(&mut self) {
        if self.is_open() {
            self.open.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_counts_how_often_it_opened_and_shows_whether_it_is_open() {
        let gauge = Gauge::default();
        let limits = Limits {
            failures: 2,
            open_for: Duration::ZERO,
        };
        let breaker = Breaker::new("a server", limits, gauge.clone());
        assert_eq!((breaker.openings(), gauge.get()), (0, 0));
        for opening in 1..=2 {
            // The third failure is one from before it opened.
            for _ in 0..3 {
                breaker.note(Outcome::Failed);
            }
            assert_eq!((breaker.openings(), gauge.get()), (opening, 1));
            assert!(breaker.admits());
            breaker.note(Outcome::Answered);
            assert_eq!((breaker.openings(), gauge.get()), (opening, 0));
        }
        // A trial that fails opens nothing that was closed.
        breaker.note(Outcome::Failed);
        breaker.note(Outcome::Failed);
        assert!(breaker.admits());
        breaker.note(Outcome::Failed);
        assert_eq!((breaker.openings(), gauge.get()), (3, 1));
        drop(breaker);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn it_is_tried_at_once_when_there_is_reason_to() {
        let limits = Limits {
            failures: 1,
            open_for: Duration::from_secs(3_600),
        };
        let breaker = Breaker::new("a server", limits, Gauge::default());
        breaker.hasten();
        assert!(!breaker.is_open());
        breaker.note(Outcome::Failed);
        assert!(!breaker.admits());
        breaker.hasten();
        assert!(breaker.is_open() && breaker.admits() && !breaker.admits());
    }

    #[test]
    fn where_somebody_tries_on_purpose_no_other_answer_closes_it() {
        let limits = Limits {
            failures: 1,
            open_for: Duration::ZERO,
        };
        let breaker = Breaker::new("a server", limits, Gauge::default());
        breaker.note_unless_open(Outcome::Failed);
        assert!(breaker.is_open() && breaker.admits());
        breaker.note_unless_open(Outcome::Answered);
        assert!(breaker.is_open());
        breaker.note(Outcome::Answered);
        assert!(!breaker.is_open());
    }
}
