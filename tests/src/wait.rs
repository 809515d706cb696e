//! Waiting for a condition with a deadline, in place of fixed sleeps.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How long the launcher lets a server take before it says that the server did not start. Generous, because a machine
/// with two busy cores starts a JVM in many times the usual second or two.
pub const START_DEADLINE: Duration = Duration::from_secs(90);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls `probe` until it gives a value, pausing 5 to 100 ms in between.
///
/// An error of the probe ends the wait at once; `Ok(None)` means "not yet". When `deadline` has passed, the error names
/// `what` was awaited.
pub fn until<T>(
    what: impl Display,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            return Err(too_late(&what, deadline));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// [`until`] for asynchronous probes.
pub async fn until_async<T, F>(
    what: impl Display,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if started.elapsed() >= deadline {
            return Err(too_late(&what, deadline));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn too_late(what: &impl Display, deadline: Duration) -> anyhow::Error {
    anyhow!("waited {deadline:?} in vain for {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_value_is_found_and_a_missing_one_is_named() {
        let mut calls = 0;
        let found = until("the third call", Duration::from_secs(5), || {
            calls += 1;
            Ok((calls == 3).then_some(calls))
        });
        assert_eq!(found.unwrap(), 3);

        let never = until("nothing", Duration::from_millis(20), || Ok(None::<()>));
        assert_eq!(
            never.unwrap_err().to_string(),
            "waited 20ms in vain for nothing"
        );
    }

    #[test]
    fn an_error_ends_the_wait_at_once() {
        let started = Instant::now();
        let failed = until("a value", Duration::from_secs(60), || {
            Err::<Option<()>, _>(anyhow!("server died"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "server died");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
