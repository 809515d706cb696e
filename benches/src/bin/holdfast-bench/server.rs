//! A server to measure: nothing on disk, nobody else on it.

use anyhow::{Context, Result};
use holdfast_tests::redis::{Redis, RedisOptions};
use redis::Connection;

/// A fresh server with the module.
pub fn start(args: &[&str]) -> Result<Redis> {
    let own = ["--appendonly", "no", "--save", "", "--maxmemory", "0"];
    Redis::start_private(RedisOptions {
        args: own
            .iter()
            .chain(args)
            .map(|arg| (*arg).to_owned())
            .collect(),
        ..RedisOptions::default()
    })
}

/// What the allocator has given out, in bytes.
pub fn used_memory(connection: &mut Connection) -> Result<u64> {
    let line = info(connection, "memory", "used_memory")?;
    Ok(line.parse()?)
}

/// Holds that the sweep has expired.
pub fn expired_by_sweep(connection: &mut Connection) -> Result<u64> {
    let line = info(connection, "holdfast", "holdfast_expired_by_sweep")?;
    Ok(line.parse()?)
}

/// Its name and version.
pub fn version(connection: &mut Connection) -> Result<String> {
    let name = info(connection, "server", "server_name").unwrap_or_else(|_| "redis".to_owned());
    let version = info(connection, "server", &format!("{name}_version"))?;
    let allocator = info(connection, "memory", "mem_allocator")?;
    Ok(format!("{name} {version}, {allocator}"))
}

fn info(connection: &mut Connection, section: &str, field: &str) -> Result<String> {
    let info: String = redis::cmd("INFO").arg(section).query(connection)?;
    info.lines()
        .find_map(|line| {
            Some(
                line.strip_prefix(field)?
                    .strip_prefix(':')?
                    .trim()
                    .to_owned(),
            )
        })
        .with_context(|| format!("INFO {section} does not tell {field}"))
}
