//! The `SESSION` commands, typed. Their meanings are in docs/commands.md.

use redis::{FromRedisValue, ParsingError, Value, cmd};

use super::{Error, Gateway};

/// What `SESSION.TOUCH` says of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// `OK`, or why there is no usable session: `ABSENT`, `BAD_SECRET`, `IDLE_EXPIRED`,
    /// `ABSOLUTE_EXPIRED`, `RATE_LIMITED`.
    pub state: String,
    /// Whose it is.
    pub user: String,
    /// Roles, separated by commas.
    pub roles: String,
    /// Requests counted so far.
    pub page_views: i64,
    /// Time until the session ends without a request, ms.
    pub idle_ms: i64,
    /// Time until it ends in any case, ms.
    pub absolute_ms: i64,
    /// How much of its rate is left; none where none was asked for.
    pub rate: Option<RateLeft>,
}

/// The rate at which a session may be touched: so many times in a period, and some more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Beyond the others.
    pub burst: u32,
    /// In the period.
    pub count: u32,
    /// The period, s.
    pub period_s: u32,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLeft {
    /// The most touches at once.
    pub limit: i64,
    /// How many of them are left.
    pub remaining: i64,
    /// Time until a retry helps, s; -1 if this touch was not refused.
    pub retry_after_s: i64,
    /// Time until all are back, s.
    pub reset_after_s: i64,
}

/// What is viewed with a touch, and how often a touch may come.
#[derive(Debug, Clone, Copy, Default)]
pub struct TouchOptions<'a> {
    /// The page that is viewed.
    pub page: Option<&'a str>,
    /// The item that is viewed.
    pub item: Option<&'a str>,
    /// The rate that this touch is counted in.
    pub rate: Option<Rate>,
}

/// A session to start.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// SHA-256 of the cookie's secret.
    pub digest: [u8; 32],
    /// Whose it is.
    pub user: &'a str,
    /// Roles, separated by commas.
    pub roles: &'a str,
    /// Ends after this long without a request, ms.
    pub idle_ms: u64,
    /// Ends after this long if there is no second request, ms; not longer than `idle_ms`.
    pub first_ms: u64,
    /// Ends after this long in any case, ms.
    pub absolute_ms: u64,
}

/// What a session says of itself to whoever owns it; the times in ms since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// Whose it is.
    pub user: String,
    /// When it began.
    pub started_ms: i64,
    /// When it was last touched.
    pub seen_ms: i64,
    /// Time until it ends without a request, ms.
    pub idle_ms: i64,
    /// Time until it ends in any case, ms.
    pub absolute_ms: i64,
}

impl Gateway {
    /// `SESSION.START`.
    pub async fn start_session(&self, id: &str, session: &NewSession<'_>) -> Result<(), Error> {
        let mut command = cmd("SESSION.START");
        command
            .arg(key(id))
            .arg(session.digest.as_slice())
            .arg(session.user);
        command
            .arg("IDLE")
            .arg(session.idle_ms)
            .arg("ABSOLUTE")
            .arg(session.absolute_ms);
        command.arg("ROLES").arg(session.roles);
        self.call::<Value>(&command).await?;
        if session.first_ms < session.idle_ms {
            // A touch sets the key's end anew, to what the session was started with.
            let mut sooner = cmd("PEXPIRE");
            sooner.arg(key(id)).arg(session.first_ms);
            self.call::<i64>(&sooner).await?;
        }
        Ok(())
    }

    /// `SESSION.TOUCH`: checks the secret, both timeouts and the rate, records the view, in one step.
    pub async fn touch_session(
        &self,
        id: &str,
        digest: [u8; 32],
        options: TouchOptions<'_>,
    ) -> Result<Touched, Error> {
        let mut command = cmd("SESSION.TOUCH");
        command.arg(key(id)).arg(digest.as_slice());
        if let Some(page) = options.page {
            command.arg("PAGE").arg(page);
        }
        if let Some(item) = options.item {
            command.arg("ITEM").arg(item);
        }
        if let Some(rate) = options.rate {
            command.arg("RATE").arg(rate.burst);
            command.arg(rate.count).arg(rate.period_s);
        }
        self.call(&command).await
    }

    /// `SESSION.GET` of what its owner may know; none where no session lives.
    pub async fn session_facts(&self, id: &str) -> Result<Option<SessionFacts>, Error> {
        let mut command = cmd("SESSION.GET");
        command.arg(key(id)).arg("user");
        command.arg("login_ms").arg("activity_ms");
        command.arg("idle_ms_left").arg("absolute_ms_left");
        let facts: Option<(String, i64, i64, i64, i64)> = self.call(&command).await?;
        Ok(facts.map(
            |(user, started_ms, seen_ms, idle_ms, absolute_ms)| SessionFacts {
                user,
                started_ms,
                seen_ms,
                idle_ms,
                absolute_ms,
            },
        ))
    }

    /// `SESSION.VIEWED`: the items viewed last, newest first.
    pub async fn viewed_items(&self, id: &str) -> Result<Vec<String>, Error> {
        self.call(cmd("SESSION.VIEWED").arg(key(id))).await
    }

    /// `SESSION.END`.
    pub async fn end_session(&self, id: &str) -> Result<(), Error> {
        self.call::<Value>(cmd("SESSION.END").arg(key(id)))
            .await
            .map(drop)
    }
}

pub(super) fn key(id: &str) -> String {
    format!("session:{id}")
}

impl FromRedisValue for Touched {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts: Vec<Value> = FromRedisValue::from_redis_value(value)?;
        let rate = match parts.len() {
            11 => Some(RateLeft::read(parts.split_off(6))?),
            _ => None,
        };
        let (state, user, roles, page_views, idle_ms, absolute_ms) =
            FromRedisValue::from_redis_value(Value::Array(parts))?;
        Ok(Self {
            state,
            user,
            roles,
            page_views,
            idle_ms,
            absolute_ms,
            rate,
        })
    }
}

impl RateLeft {
    fn read(parts: Vec<Value>) -> Result<Self, ParsingError> {
        let (_limited, limit, remaining, retry_after_s, reset_after_s): (i64, _, _, _, _) =
            FromRedisValue::from_redis_value(Value::Array(parts))?;
        Ok(Self {
            limit,
            remaining,
            retry_after_s,
            reset_after_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(numbers: &[i64]) -> Result<Touched, ParsingError> {
        let texts = ["RATE_LIMITED", "ada", "customer"];
        let texts = texts.map(|text| Value::BulkString(text.into()));
        let numbers = numbers.iter().map(|number| Value::Int(*number));
        Touched::from_redis_value(Value::Array(texts.into_iter().chain(numbers).collect()))
    }

    #[test]
    fn a_touch_is_read_with_a_rate_and_without() {
        let without = touched(&[1, 1_000, 2_000]).expect("six parts");
        assert_eq!((without.absolute_ms, without.rate), (2_000, None));
        let with = touched(&[1, 1_000, 2_000, 1, 10, 0, 3, 9]).expect("eleven parts");
        let left = RateLeft {
            limit: 10,
            remaining: 0,
            retry_after_s: 3,
            reset_after_s: 9,
        };
        assert_eq!(with.rate, Some(left));
        assert!(touched(&[1, 1_000]).is_err());
    }
}
