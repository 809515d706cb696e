//! The three shapes that Redis may have, and which server answers for a key in each.

use std::sync::Arc;

use super::error::Error;
use super::request::Request;
use super::server::Servers;
use super::shard::Shard;
use super::standing::Guard;
use crate::config::RedisUrl;

/// How the servers belong together.
#[derive(Debug)]
pub(super) enum Shape {
    /// One server.
    Standalone(Arc<Shard>),
}

impl Shape {
    /// Needs a runtime; nothing is sent until the first call.
    pub(super) fn open(url: RedisUrl, servers: &Servers, guard: &Guard) -> Self {
        let primary = url.servers.into_iter().next();
        let primary = primary.map(|address| servers.at(address));
        Self::Standalone(Arc::new(Shard::new(primary, guard)))
    }

    /// Who answers for the key of a request.
    pub(super) fn shard_of(&self, _request: &Request<'_>) -> Result<Arc<Shard>, Error> {
        match self {
            Self::Standalone(shard) => Ok(shard.clone()),
        }
    }

    /// All shards that are known.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        match self {
            Self::Standalone(shard) => vec![shard.clone()],
        }
    }
}
