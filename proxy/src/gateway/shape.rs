//! The shapes that Redis may have, and which server answers for a key in each.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::cluster::Cluster;
use super::redirect::Redirection;
use super::sentinel::Sentinel;
use super::server::{Server, Servers};
use super::shard::Shard;
use super::standing::Guard;
use crate::config::{RedisShape, RedisUrl};

/// How the servers belong together.
#[derive(Debug)]
pub(super) enum Shape {
    /// One server.
    Standalone(Arc<Shard>),
    /// One primary, and replicas that may take its place.
    Sentinel(Sentinel),
    /// Each primary has some of the keys.
    Cluster(Arc<Cluster>),
}

impl Shape {
    /// Needs a runtime; nothing waits for an answer before the first call.
    pub(super) fn open(url: RedisUrl, servers: &Servers, guard: &Guard) -> Self {
        let RedisUrl {
            shape,
            servers: addresses,
            ..
        } = url;
        match shape {
            RedisShape::Sentinel { service } => {
                let access = servers.access.of(&servers.config.sentinel_credentials());
                let shard = Arc::new(Shard::new(None, guard));
                Self::Sentinel(Sentinel::open(addresses, service, access, servers, shard))
            }
            RedisShape::Cluster => Self::Cluster(Cluster::open(addresses, servers, guard)),
            RedisShape::Standalone => {
                let primary = addresses.into_iter().next();
                let primary = primary.map(|address| servers.at(address));
                Self::Standalone(Arc::new(Shard::new(primary, guard)))
            }
        }
    }

    /// Who answers for a key, or any where there is none; none as long as nobody is known.
    pub(super) fn shard_of(&self, key: Option<&[u8]>) -> Option<Arc<Shard>> {
        match self {
            Self::Standalone(shard) => Some(shard.clone()),
            Self::Sentinel(sentinel) => Some(sentinel.shard().clone()),
            Self::Cluster(cluster) => cluster.shard_of(key),
        }
    }

    /// All shards that are known.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        match self {
            Self::Standalone(shard) => vec![shard.clone()],
            Self::Sentinel(sentinel) => vec![sentinel.shard().clone()],
            Self::Cluster(cluster) => cluster.shards(),
        }
    }

    /// A hash tag whose keys the shard answers for, named after `name`; none once it is no shard.
    pub(super) fn tag_at(&self, shard: &Arc<Shard>, name: &str) -> Option<String> {
        match self {
            Self::Standalone(_) | Self::Sentinel(_) => Some(name.to_owned()),
            Self::Cluster(cluster) => cluster.tag_at(shard, name),
        }
    }

    /// Has it found out anew soon who is who.
    pub(super) fn suspect(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.suspect();
        }
    }

    /// Waits until it is found out anew who is who, at most for so long.
    pub(super) async fn renewed(&self, within: Duration) {
        match self {
            Self::Standalone(_) | Self::Sentinel(_) => sleep(within).await,
            Self::Cluster(cluster) => cluster.renewed(within).await,
        }
    }

    /// Follows `asked`, which says that a slot is another's; false when that one is not known yet.
    pub(super) fn moved(&self, to: &Redirection, asked: &Server) -> bool {
        match self {
            Self::Standalone(_) | Self::Sentinel(_) => false,
            Self::Cluster(cluster) => cluster.moved(to, asked),
        }
    }

    /// The server that a slot is on its way to.
    pub(super) fn importing(&self, to: &Redirection, asked: &Server) -> Option<Arc<Server>> {
        match self {
            Self::Standalone(_) | Self::Sentinel(_) => None,
            Self::Cluster(cluster) => Some(cluster.importing(to, asked)),
        }
    }
}
