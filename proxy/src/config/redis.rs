//! The gate's settings.

use serde::Deserialize;

use super::check::check_with;
use super::{Error, RedisUrl, Secret};

/// The gate: a Redis or Valkey server with the Holdfast module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// `redis://[user:password@]host:port[/db]`.
    pub url: Secret,
    /// The deadline of one call, ms.
    pub timeout_ms: u64,
    /// After this many failed calls in a row Redis is left alone: whatever needs it is refused at
    /// once.
    pub breaker_failures: u32,
    /// For so long, ms; then one call tries whether it answers again.
    pub breaker_open_ms: u64,
    /// A hold waits until so many replicas have it; one that does not come so far is released and
    /// answered with 503. 0: none is waited for.
    pub replica_acks: u32,
    /// For so long, ms.
    pub replica_acks_timeout_ms: u64,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: Secret("redis://127.0.0.1:6379".into()),
            timeout_ms: 500,
            breaker_failures: 5,
            breaker_open_ms: 1_000,
            replica_acks: 0,
            replica_acks_timeout_ms: 250,
        }
    }
}

impl Redis {
    /// The URL, read.
    ///
    /// # Errors
    /// When it is none; the error names what is wrong with it, and not what is secret in it.
    pub fn parsed_url(&self) -> Result<RedisUrl, Error> {
        check_with("redis.url", self.url.expose().parse())
    }
}
