//! What a session store of plain strings does, which reads a session, changes it and writes it back: the
//! control that shows what the tests of this name look for.

use redis::{Commands, Connection};

use super::*;

/// A request that has read the session and is about to write it.
pub struct Request {
    key: String,
    views: i64,
}

impl Request {
    pub fn read(redis: &mut Connection, key: &str) -> Result<Request> {
        let views: Option<i64> = redis.get(key)?;
        Ok(Request {
            key: key.to_owned(),
            views: views.unwrap_or_default(),
        })
    }

    pub fn write(self, redis: &mut Connection) -> Result<()> {
        Ok(redis.set(self.key, self.views + 1)?)
    }
}
