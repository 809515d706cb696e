//! Redis in each of the shapes that a shop can stand on.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cluster::RedisCluster;
use crate::data::{Home, Homes};
use crate::redis::{self, Redis, RedisOptions};
use crate::sentinel::RedisUnderSentinel;
use crate::users::Users;

/// How many primaries a cluster has, each with a replica.
const PRIMARIES: usize = 3;

/// What Valkey 9 asks of the replicas' user where slots move whole: the new owner takes what it is sent as that user's
/// commands, as redis-conf/README.md says.
const MOVES_SLOTS_WHOLE: &str = "~* &* +@write -@dangerous +psync +replconf +restore +select +multi +exec \
     +inv.apply +inv.restore +session.apply +cluster|syncslots";

/// In which shape Redis comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One server, which asks nobody for a password.
    #[default]
    Standalone,
    /// A primary, two replicas and three Sentinels, with users.
    Sentinel,
    /// A cluster of three primaries with a replica each, with users.
    Cluster,
}

/// The servers of a shape.
#[derive(Debug)]
pub enum RedisServers {
    /// One.
    Standalone(Arc<Redis>),
    /// A primary and replicas.
    Sentinel(RedisUnderSentinel),
    /// The nodes of a cluster.
    Cluster(RedisCluster),
}

impl RedisServers {
    /// Starts the servers of a test.
    pub fn start(shape: Shape, options: &RedisOptions) -> Result<RedisServers> {
        match shape {
            Shape::Standalone => Ok(RedisServers::Standalone(Arc::new(Redis::start(
                options.clone(),
            )?))),
            _ => RedisServers::start_in(&Home::for_test, shape, options),
        }
    }

    /// Starts servers in the homes of their names.
    pub fn start_in(home: Homes<'_>, shape: Shape, options: &RedisOptions) -> Result<RedisServers> {
        Ok(match shape {
            Shape::Standalone => {
                let options = RedisOptions {
                    home: Some(home("redis")?),
                    ..options.clone()
                };
                RedisServers::Standalone(Arc::new(Redis::start(options)?))
            }
            Shape::Sentinel => RedisServers::Sentinel(RedisUnderSentinel::start_in(home, options)?),
            Shape::Cluster => {
                let mut users = Users::of(&home("redis-users")?)?;
                if redis::moves_slots_whole()? {
                    users = users.grant("replica", MOVES_SLOTS_WHOLE);
                }
                let options = RedisOptions {
                    users: Some(users),
                    ..options.clone()
                };
                let cluster = RedisCluster::start_in(home, PRIMARIES, PRIMARIES, &options)?;
                RedisServers::Cluster(cluster)
            }
        })
    }

    /// The URL that a proxy is given: as the user `proxy` where there are users.
    pub fn url(&self) -> Result<String> {
        self.url_of("proxy")
    }

    /// The URL for who comes as the user of this role, where there are users.
    pub fn url_of(&self, role: &str) -> Result<String> {
        match self {
            RedisServers::Standalone(redis) => Ok(redis.url().to_owned()),
            RedisServers::Sentinel(servers) => servers.url(role),
            RedisServers::Cluster(cluster) => cluster.url(role),
        }
    }

    /// The file with the password that the Sentinels ask for, where there are any.
    pub fn sentinel_password_file(&self) -> Option<PathBuf> {
        match self {
            RedisServers::Sentinel(servers) => Some(servers.users().sentinels_password_file()),
            _ => None,
        }
    }

    /// Every server, primaries and replicas alike.
    pub fn all(&self) -> Box<dyn Iterator<Item = &Arc<Redis>> + '_> {
        match self {
            RedisServers::Standalone(redis) => Box::new(std::iter::once(redis)),
            RedisServers::Sentinel(servers) => Box::new(servers.servers().iter()),
            RedisServers::Cluster(cluster) => Box::new(cluster.nodes()),
        }
    }

    /// The one server, or the first: that which was the first primary when all began.
    pub fn first(&self) -> Result<&Arc<Redis>> {
        let first = match self {
            RedisServers::Standalone(redis) => Some(redis),
            RedisServers::Sentinel(servers) => servers.servers().first(),
            RedisServers::Cluster(cluster) => cluster.primaries().first(),
        };
        first.context("there is no server")
    }
}
