//! What the rate promises, whatever the algorithm: never more than the burst and what came back.

use holdfast_session::Rate;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    /// In any window, no more gets through than the burst and what the window refills.
    #[test]
    fn the_rate_is_never_exceeded(
        burst in 0..5_u64, count in 1..10_u64, period_s in 1..5_u64,
        gaps in proptest::collection::vec(0..2_000_u64, 1..200),
    ) {
        let rate = Rate::new(burst, count, period_s).expect("a sound rate");
        let (mut tat, mut now_ms) = (0, 1_000_000);
        let mut passed: Vec<u64> = Vec::new();
        for gap in gaps {
            now_ms += gap;
            let verdict = rate.take(tat, now_ms);
            prop_assert!(verdict.remaining <= verdict.limit);
            prop_assert_eq!(verdict.limited, verdict.retry_after_s >= 0);
            if verdict.limited {
                prop_assert_eq!(verdict.tat_ns, tat.max(now_ms * 1_000_000));
                let later = now_ms + verdict.retry_after_s as u64 * 1_000;
                prop_assert!(!rate.take(verdict.tat_ns, later).limited, "retry after is enough");
            } else {
                passed.push(now_ms);
            }
            tat = verdict.tat_ns;
        }
        for (at, first) in passed.iter().enumerate() {
            for (more, last) in passed[at..].iter().enumerate() {
                let refilled = (last - first) * count / (period_s * 1_000);
                prop_assert!(more as u64 <= burst + refilled + 1, "{} after {} ms", more + 1, last - first);
            }
        }
    }
}

/// A control: a limiter that forgets what has passed must be caught by the check of the rate.
#[test]
fn a_limiter_that_forgets_is_noticed() {
    let rate = Rate::new(1, 1, 1).expect("a sound rate");
    let passed = (0..10).filter(|_| !rate.take(0, 1_000).limited).count();
    assert!(
        passed > 2,
        "without its TAT the rate lets everything through"
    );
}
