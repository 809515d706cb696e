//! Which sessions a user has: `user-sessions:{<user>}`, a sorted set of ids by the time at which
//! each ends in any case. It is in another slot than the sessions and may name some that are gone,
//! never lack one that lives: whoever starts a session notes it before and after.

use redis::cmd;
use uuid::Uuid;

use super::{Error, Gateway};

const REMEMBER: &str = include_str!("session_remember.lua");
const STRIKE_OUT: &str = include_str!("session_strike_out.lua");

/// A session's id, and when it ends in any case as the index has it.
pub type Noted = (String, String);

impl Gateway {
    /// Notes a session that ends after `absolute_ms` in any case, and answers how many are noted.
    /// Repeated, it notes the later end.
    pub async fn remember_session(
        &self,
        user: Uuid,
        id: &str,
        absolute_ms: u64,
    ) -> Result<usize, Error> {
        let mut command = cmd("EVAL");
        command.arg(REMEMBER).arg(1).arg(key(user));
        self.call(command.arg(id).arg(absolute_ms)).await
    }

    /// The sessions of a user and those that were, each with what [`Gateway::strike_out_sessions`]
    /// wants to know.
    pub async fn remembered_sessions(&self, user: Uuid) -> Result<Vec<Noted>, Error> {
        let mut command = cmd("ZRANGE");
        command.arg(key(user)).arg(0).arg(-1).arg("WITHSCORES");
        self.call(&command).await
    }

    /// Strikes out sessions that are gone, unless one was noted again since: who begins a session
    /// notes it before and after.
    pub async fn strike_out_sessions(&self, user: Uuid, gone: &[Noted]) -> Result<(), Error> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut command = cmd("EVAL");
        command.arg(STRIKE_OUT).arg(1).arg(key(user)).arg(gone);
        self.call::<i64>(&command).await.map(drop)
    }

    /// Strikes out sessions that have ended.
    pub async fn forget_sessions(&self, user: Uuid, ids: &[String]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        self.call::<i64>(cmd("ZREM").arg(key(user)).arg(ids))
            .await
            .map(drop)
    }
}

fn key(user: Uuid) -> String {
    format!("user-sessions:{{{user}}}")
}
