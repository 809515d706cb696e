//! How far a replica is behind, told by a count that goes up on the primary. Pure.
//!
//! The time is that of this process alone: when it counted up, and when it saw which count the
//! replica shows. No server's clock is asked, and a replica that receives nothing any more is late
//! like any other, whatever it says of itself (the idea of Percona's pt-heartbeat).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Beats that are remembered; a replica that lacks an older one is as late as that at least.
const KEPT: usize = 600;

/// When which count was reached on the primary, the oldest first.
#[derive(Debug, Default)]
pub struct Beats {
    seen: VecDeque<(i64, Instant)>,
}

impl Beats {
    /// The primary has counted up to `beat`, which was asked for at `asked_at`.
    pub fn beat(&mut self, beat: i64, asked_at: Instant) {
        // Where the primary was set up anew, what it counted before says nothing any more.
        if self.seen.back().is_some_and(|(newest, _)| *newest >= beat) {
            self.seen.clear();
        }
        self.seen.push_back((beat, asked_at));
        if self.seen.len() > KEPT {
            self.seen.pop_front();
        }
    }

    /// How far a replica that shows the count `shown` is behind at `now`, at most; `None` while
    /// nothing is known of the primary.
    pub fn lag(&self, shown: i64, now: Instant) -> Option<Duration> {
        let (newest, _) = self.seen.back()?;
        if shown >= *newest {
            return Some(Duration::ZERO);
        }
        let lacked = self.seen.iter().find(|(beat, _)| *beat > shown);
        lacked.map(|(_, asked_at)| now.saturating_duration_since(*asked_at))
    }
}

/// Whether a replica that answers is to be read: it keeps up, or there is nothing better.
pub fn serves(lag: Option<Duration>, max_lag: Duration, primary_answers: bool) -> bool {
    !primary_answers || lag.is_some_and(|lag| lag <= max_lag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_replica_is_as_late_as_the_first_beat_that_it_lacks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut beats = Beats::default();
        assert_eq!(beats.lag(7, start), None);
        for (beat, seconds) in [(7, 0), (9, 1), (10, 2)] {
            beats.beat(beat, at(seconds));
        }
        let lag = |shown| beats.lag(shown, at(5)).map(|lag| lag.as_secs());
        // Beats that another proxy made are between: 8 is before 9.
        assert_eq!(
            [lag(10), lag(11), lag(9), lag(8), lag(7), lag(0)],
            [Some(0), Some(0), Some(3), Some(4), Some(4), Some(5)]
        );
    }

    #[test]
    fn a_primary_that_was_set_up_anew_counts_from_there() {
        let start = Instant::now();
        let mut beats = Beats::default();
        beats.beat(1_000, start);
        beats.beat(1, start + Duration::from_secs(1));
        assert_eq!(beats.lag(1, start), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_late_is_read_only_where_there_is_nothing_better() {
        let max = Duration::from_secs(1);
        let late = Some(Duration::from_secs(2));
        assert!(serves(Some(max), max, true));
        assert!(!serves(late, max, true) && !serves(None, max, true));
        assert!(serves(late, max, false) && serves(None, max, false));
    }

    proptest! {
        /// Against a replica that applies every change after a delay of its own.
        #[test]
        fn the_lag_is_never_told_too_low(
            gaps in proptest::collection::vec(1_u64..3_000, 1..900),
            delay in 0_u64..60_000,
        ) {
            let start = Instant::now();
            let (mut beats, mut now, mut made) = (Beats::default(), 0, Vec::new());
            for (beat, gap) in (1..).zip(&gaps) {
                now += gap;
                beats.beat(beat, start + Duration::from_millis(now));
                made.push((beat, now));
            }
            let applied = made.iter().rev().find(|(_, at)| at + delay <= now);
            let shown = applied.map_or(0, |(beat, _)| *beat);
            let lag = beats.lag(shown, start + Duration::from_millis(now)).expect("beats were made");
            let lacked = made.iter().find(|(beat, _)| *beat > shown);
            let behind = lacked.map_or(0, |(_, at)| now - at);
            // Of what was forgotten only the oldest that is known can be told.
            let kept = made[made.len().saturating_sub(KEPT)].1;
            prop_assert_eq!(lag.as_millis() as u64, behind.min(now - kept));
        }
    }
}
