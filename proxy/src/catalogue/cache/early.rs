//! When what is kept is read anew before it ends. Pure.

use std::time::Duration;

/// Whether somebody who meets an entry that is kept for `remaining` longer reads it anew, by a
/// number drawn from 0 to 1 without bias.
///
/// The nearer the end, the likelier: of everybody who comes by, some one comes early, and nobody
/// finds the entry gone. `scale` is how long a reading takes, or how long it is between two looks
/// where that is longer. XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic
/// Cache Stampede Prevention", VLDB 2015, with beta = 1.
pub fn is_due(remaining: Duration, scale: Duration, drawn: f64) -> bool {
    // -ln of 0 is infinite, and due; of 1 it is 0, which an entry that has time left outlasts.
    scale.as_secs_f64() * -drawn.ln() >= remaining.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn duration() -> impl Strategy<Value = Duration> {
        (0_u64..1_000_000_000).prop_map(Duration::from_micros)
    }

    proptest! {
        #[test]
        fn what_ends_now_is_due_whatever_is_drawn(scale in duration(), drawn in 0.0..=1.0) {
            prop_assert!(is_due(Duration::ZERO, scale, drawn));
        }

        #[test]
        fn the_nearer_the_end_and_the_longer_a_reading_takes_the_sooner(
            (remaining, less) in (duration(), duration()),
            (scale, more) in (duration(), duration()),
            drawn in 0.0..=1.0,
        ) {
            prop_assume!(is_due(remaining, scale, drawn));
            prop_assert!(is_due(remaining.saturating_sub(less), scale, drawn));
            prop_assert!(is_due(remaining, scale + more, drawn));
        }

        /// With probability exp(-remaining / scale), which is the promise of the paper.
        #[test]
        fn it_is_as_likely_as_it_should_be(remaining in 1_u32..6, scale in 1_u32..6) {
            let draws = 100_000;
            let due = (0..draws).filter(|draw| {
                let drawn = (f64::from(*draw) + 0.5) / f64::from(draws);
                is_due(Duration::from_secs(remaining.into()), Duration::from_secs(scale.into()), drawn)
            });
            let share = due.count() as f64 / f64::from(draws);
            let promised = (-f64::from(remaining) / f64::from(scale)).exp();
            prop_assert!((share - promised).abs() < 1e-4, "{share} {promised}");
        }
    }
}
