//! How the audit reaches Redis in each of its shapes, by redis-rs's own clients: it shares nothing
//! with the gateway.

use futures::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, FromRedisValue, RedisResult, Value, cmd, pipe};

use super::Error;
use super::primary::{self, PATIENCE};
use crate::config::{self, RedisShape, RedisUrl};

/// One server, or all of a cluster.
pub enum Reach {
    /// One that has all keys.
    One(MultiplexedConnection),
    /// Each primary has some.
    Cluster(Box<ClusterConnection>),
}

/// One of the servers that have keys.
pub type Place = Option<(String, u16)>;

impl Reach {
    /// Connects.
    pub async fn open(config: &config::Redis) -> Result<Self, Error> {
        let url = config.parsed_url()?;
        if url.shape == RedisShape::Cluster {
            return Ok(Self::Cluster(Box::new(cluster(config, &url).await?)));
        }
        Ok(Self::One(primary::connect(config).await?))
    }

    /// Sends a command about a key.
    pub async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(&mut **connection).await,
        }
    }

    /// Sends commands about a key each, and answers in their order.
    pub async fn ask_all<T: FromRedisValue>(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<T>> {
        match self {
            Self::One(connection) => {
                let mut all = pipe();
                for command in commands {
                    all.add_command(command);
                }
                all.query_async(connection).await
            }
            Self::Cluster(connection) => {
                let asked = commands.into_iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { command.query_async(&mut *connection).await }
                });
                try_join_all(asked).await
            }
        }
    }

    /// The servers that have keys.
    pub async fn places(&mut self) -> RedisResult<Vec<Place>> {
        let Self::Cluster(connection) = self else {
            return Ok(vec![None]);
        };
        let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = connection.route_command(cmd("PING"), all).await?;
        let pongs: Vec<(String, String)> = FromRedisValue::from_redis_value(answers)?;
        let places = pongs.into_iter().filter_map(|(address, _)| {
            let (host, port) = address.rsplit_once(':')?;
            Some(Some((host.to_owned(), port.parse().ok()?)))
        });
        Ok(places.collect())
    }

    /// Sends a command to one of the servers.
    pub async fn ask_at<T: FromRedisValue>(
        &mut self,
        place: &Place,
        command: Cmd,
    ) -> RedisResult<T> {
        let answer: Value = match (self, place) {
            (Self::Cluster(connection), Some((host, port))) => {
                let (host, port) = (host.clone(), *port);
                let there = SingleNodeRoutingInfo::ByAddress { host, port };
                let there = RoutingInfo::SingleNode(there);
                connection.route_command(command, there).await?
            }
            (Self::Cluster(connection), None) => connection.req_packed_command(&command).await?,
            (Self::One(connection), _) => connection.req_packed_command(&command).await?,
        };
        Ok(T::from_redis_value(answer)?)
    }
}

async fn cluster(config: &config::Redis, url: &RedisUrl) -> Result<ClusterConnection, Error> {
    let mut client = ClusterClientBuilder::new(primary::addresses(url))
        .connection_timeout(PATIENCE)
        .response_timeout(PATIENCE);
    if let Some(user) = &url.credentials.user {
        client = client.username(user);
    }
    if let Some(password) = &url.credentials.password {
        client = client.password(password.expose());
    }
    if let Some(certificates) = primary::certificates(config, url)? {
        client = client.certs(certificates);
    }
    Ok(client.build()?.get_async_connection().await?)
}
