//! Holds that fall due, and the sweep that comes by.

use anyhow::Result;
use redis::Connection;

use super::{ask, eventually, stock};

/// Stock of five with a hold of two that is over in `ms`: what the sweep must find, wherever the key has gone by then.
pub fn expiring(connection: &mut Connection, key: &str, ms: u64) {
    ask(connection, &format!("INV.SET {key} 5"));
    let reply = ask(connection, &format!("INV.RESERVE {key} o1 2 PX {ms}"));
    assert_eq!(reply, "RESERVED 3 2 T 0");
}

/// Whether the sweep has been at what [`expiring`] made. Only `seq` tells: reads leave out what is past due in any case.
pub fn swept(connection: &mut Connection, key: &str) -> bool {
    stock(connection, key, "seq") == 3 && stock(connection, key, "available") == 5
}

/// Waits until the sweep has been at what [`expiring`] made.
pub fn sweep_comes_by(connection: &mut Connection, key: &str) -> Result<()> {
    eventually(key, || Ok(swept(connection, key)))
}

/// The server's clock, in Unix milliseconds.
pub fn now_ms(connection: &mut Connection) -> Result<i64> {
    let (seconds, microseconds): (i64, i64) = redis::cmd("TIME").query(connection)?;
    Ok(seconds * 1_000 + microseconds / 1_000)
}

/// Waits until the server's clock has passed a time by several ticks of the sweep.
pub fn sweeps_after(connection: &mut Connection, unix_ms: i64) -> Result<()> {
    eventually("several ticks of the sweep", || {
        Ok(now_ms(connection)? > unix_ms + 500)
    })
}
