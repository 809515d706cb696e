//! The section `holdfast` of INFO. It reads counters and nothing else, so it costs the same with one key as with a
//! million, and takes no lock that a crash could have left behind.

use crate::statistics::{self as s, REFUSALS, WORDS};

/// The fields in their order; the server puts `holdfast_` before their names.
pub(crate) fn fields(now_ms: u64) -> Vec<(String, u64)> {
    let named = |name: &str, value: u64| (name.to_owned(), value);
    let since_ms = s::PREPARED_SINCE_MS.get();
    let oldest_prepared_ms = match since_ms {
        0 => 0,
        since_ms => now_ms.saturating_sub(since_ms),
    };
    let mut fields = vec![
        named("stock_keys", s::STOCK_KEYS.get()),
        named("holds", s::HOLDS.get()),
        named("holds_prepared", s::HOLDS_PREPARED.get()),
        named("units_held", s::UNITS_HELD.get()),
        named("outcomes", s::OUTCOMES.get()),
        named("adjustments", s::ADJUSTMENTS.get()),
        named("sessions", s::SESSIONS.get()),
        named("due_keys", s::DUE_KEYS.get()),
        named("due_holds", s::DUE_HOLDS.get()),
        named("oldest_prepared_ms", oldest_prepared_ms),
        named("sweep_slices", s::SWEEP_SLICES.get()),
        named("sweep_slices_full", s::SWEEP_SLICES_FULL.get()),
        named("sweep_total_us", s::SWEEP_TOTAL_US.get()),
        named("sweep_last_us", s::SWEEP_LAST_US.get()),
        named("sweep_longest_us", s::SWEEP_LONGEST_US.get()),
        named("expired_by_sweep", s::EXPIRED_BY_SWEEP.get()),
        named("expired_by_command", s::EXPIRED_BY_COMMAND.get()),
        named("forgotten", s::FORGOTTEN.get()),
    ];
    fields.extend(WORDS.iter().zip(&s::ANSWERED).map(|(word, count)| {
        let word = word.as_str().to_ascii_lowercase();
        (format!("answered_{word}"), count.get())
    }));
    fields.extend([
        named("answered_replayed", s::REPLAYED.get()),
        named("sessions_started", s::SESSIONS_STARTED.get()),
        named("sessions_touched", s::SESSIONS_TOUCHED.get()),
        named("sessions_rotated", s::SESSIONS_ROTATED.get()),
        named("sessions_ended", s::SESSIONS_ENDED.get()),
    ]);
    fields.extend(
        REFUSALS
            .iter()
            .zip(&s::SESSIONS_REFUSED)
            .map(|(state, count)| {
                let state = state.as_str().to_ascii_lowercase();
                (format!("sessions_refused_{state}"), count.get())
            }),
    );
    fields.extend([
        named("updates_published", s::UPDATES_PUBLISHED.get()),
        named("updates_coalesced", s::UPDATES_COALESCED.get()),
        named("updates_waiting", s::UPDATES_WAITING.get()),
    ]);
    fields
}
