//! What a checkout hold was taken for: `hold:<id>`, a JSON string that outlives the hold itself.

use redis::{FromRedisValue, ParsingError, Value, cmd};
use uuid::Uuid;

use super::inventory::{Line, key};
use super::{Error, Gateway};
use crate::orders::Priced;

/// The record is kept this much longer than the hold, so that a late buyer is told that the hold
/// has ended rather than that it never was, ms.
const AFTERLIFE_MS: u64 = 3_600_000;

/// A hold that was taken at checkout.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CheckoutHold {
    /// Whose it is.
    pub owner: Uuid,
    /// What is held, at the prices of that moment.
    pub priced: Priced,
}

/// One line of a hold as `INV.HOLD` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldState {
    /// `HELD`, `PREPARED`, `CONFIRMED`, `RELEASED` or `EXPIRED`.
    pub state: String,
    /// Unix ms; 0 where there is none.
    pub deadline_ms: i64,
}

impl Gateway {
    /// Writes down what a hold is for. Written before the units are taken, so that no hold is
    /// without its record.
    pub async fn write_hold(
        &self,
        id: Uuid,
        hold: &CheckoutHold,
        ttl_ms: u64,
    ) -> Result<(), Error> {
        let text = serde_json::to_string(hold).unwrap_or_default();
        let lifetime = ttl_ms.saturating_add(AFTERLIFE_MS);
        self.call::<Value>(
            cmd("SET")
                .arg(record_key(id))
                .arg(text)
                .arg("PX")
                .arg(lifetime),
        )
        .await
        .map(drop)
    }

    /// What a hold was taken for.
    pub async fn read_hold(&self, id: Uuid) -> Result<Option<CheckoutHold>, Error> {
        let mut command = cmd("GET");
        command.arg(record_key(id));
        let found: Option<String> = self.call(&command).await?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| Error::unknown("GET", error))
        };
        found.map(read).transpose()
    }

    /// Keeps the record for a hold that was extended to `ttl_ms` from now.
    pub async fn keep_hold(&self, id: Uuid, ttl_ms: u64) -> Result<(), Error> {
        let lifetime = ttl_ms.saturating_add(AFTERLIFE_MS);
        self.call::<Value>(cmd("PEXPIRE").arg(record_key(id)).arg(lifetime))
            .await
            .map(drop)
    }

    /// Forgets a hold that was refused.
    pub async fn forget_hold(&self, id: Uuid) -> Result<(), Error> {
        self.call::<Value>(cmd("DEL").arg(record_key(id)))
            .await
            .map(drop)
    }

    /// `INV.HOLD`: how one line of a hold stands.
    pub async fn hold_state(&self, id: Uuid, line: Line<'_>) -> Result<Option<HoldState>, Error> {
        self.call(cmd("INV.HOLD").arg(key(line.0)).arg(id.to_string()))
            .await
    }
}

fn record_key(id: Uuid) -> String {
    format!("hold:{id}")
}

impl FromRedisValue for HoldState {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let members: std::collections::HashMap<String, Value> =
            FromRedisValue::from_redis_value(value)?;
        let member = |name: &str| {
            let found = members.get(name).cloned();
            found.ok_or_else(|| ParsingError::from(format!("INV.HOLD left out '{name}'")))
        };
        Ok(Self {
            state: FromRedisValue::from_redis_value(member("state")?)?,
            deadline_ms: FromRedisValue::from_redis_value(member("deadline")?)?,
        })
    }
}
