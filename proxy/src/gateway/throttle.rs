//! Attempts that are counted by who makes them: `throttle:<what>:{<who>}`, a number that ends with
//! its window.

use redis::{Cmd, Value, cmd};

use super::{Error, Gateway};

/// A count that has ended meanwhile is not begun again by taking back from it.
const TAKE_BACK: &str = "\
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('DECR', KEYS[1]) end \
return 0";

/// What is counted, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted(String);

impl Counted {
    /// As in `login` of `192.0.2.1`.
    pub fn new(what: &str, who: &str) -> Self {
        Self(format!("throttle:{what}:{{{who}}}"))
    }
}

/// How many attempts there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// In this window, this one included.
    pub count: i64,
    /// Time until it ends, ms.
    pub ends_in_ms: i64,
}

impl Gateway {
    /// Counts an attempt in a window that lasts for `window_ms` from the first one.
    pub async fn count_attempt(&self, of: &Counted, window_ms: u64) -> Result<Attempts, Error> {
        let mut begin = cmd("SET");
        begin.arg(&of.0).arg(0).arg("NX").arg("PX").arg(window_ms);
        let count = cmd("INCR").arg(&of.0).to_owned();
        let ends = cmd("PTTL").arg(&of.0).to_owned();
        let (_begun, count, ends_in_ms): (Value, i64, i64) =
            self.call_atomically(&[begin, count, ends]).await?;
        Ok(Attempts { count, ends_in_ms })
    }

    /// Counts one attempt less, as if it had not been.
    pub async fn take_back_attempt(&self, of: &Counted) -> Result<(), Error> {
        let mut command = cmd("EVAL");
        command.arg(TAKE_BACK).arg(1).arg(&of.0);
        self.call::<Value>(&command).await.map(drop)
    }

    /// Begins to count anew.
    pub async fn forget_attempts(&self, of: &Counted) -> Result<(), Error> {
        self.call::<Value>(&Cmd::del(&of.0)).await.map(drop)
    }
}
