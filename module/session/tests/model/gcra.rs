//! The rate as brandur/redis-cell computes it (`src/cell/mod.rs`, `rate_limit_with_quantity`), in nanoseconds.

use holdfast_session::{Rate, Verdict};

/// One call at `now_ms` with the TAT so far, 0 for none: the answer, with the TAT after it.
pub fn call(rate: Rate, tat_ns: u64, now_ms: u64) -> Verdict {
    let now = i128::from(now_ms) * 1_000_000;
    let emission_interval = i128::from(rate.period_s) * 1_000_000_000 / i128::from(rate.count);
    let limit = i128::from(rate.burst) + 1;
    let delay_variation_tolerance = emission_interval * limit;
    let mut tat = i128::from(tat_ns);
    // What redis-cell does not have: a TAT that no call of this rate can have left lets one more through.
    if tat > now + delay_variation_tolerance {
        tat = now + delay_variation_tolerance - emission_interval;
    }
    let new_tat = if now > tat { now } else { tat } + emission_interval;
    let diff = now - (new_tat - delay_variation_tolerance);
    let limited = diff < 0;
    let kept = if limited { tat.max(now) } else { new_tat };
    let remaining = (delay_variation_tolerance - (kept - now)) / emission_interval;
    let seconds_up = |ns: i128| (ns + 999_999_999) / 1_000_000_000;
    Verdict {
        limited,
        limit: limit as u64,
        remaining: remaining as u64,
        retry_after_s: if limited {
            seconds_up(-diff) as i64
        } else {
            -1
        },
        reset_after_s: seconds_up(kept - now) as u64,
        tat_ns: kept as u64,
    }
}
