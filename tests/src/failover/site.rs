//! The shop that is disturbed: the servers of a shape with two proxies before them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Client;

use super::crowd::{PLENTY, SCARCE};
use super::redis_servers::Move;
use crate::balancer::{self, Balancer};
use crate::mysql::Mysql;
use crate::mysql_servers::MysqlServers;
use crate::probe;
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::server::Server;
use crate::shape;
use crate::stack::{Stack, StackOptions, catalogue_of, environment_of};
use crate::wait;

/// How long everything may take to be as it was.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);

/// Which servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One Redis, one MySQL, one Kafka.
    Single,
    /// The database on a primary and two replicas.
    MysqlServers,
    /// Redis as a primary and two replicas, which three Sentinels watch.
    Sentinel,
    /// Redis as a cluster of three primaries with a replica each.
    Cluster,
    /// Kafka of three brokers.
    KafkaBrokers,
    /// HAProxy before the two proxies.
    Haproxy,
    /// nginx before the two proxies.
    Nginx,
}

/// A running shop with two proxies.
#[derive(Debug)]
pub struct Site {
    /// The servers and the first proxy.
    pub stack: Stack,
    /// The second proxy.
    pub second: Proxy,
    /// What stands before them.
    balancer: Option<Balancer>,
    /// The Redis that something was done to.
    pub(super) chosen: Mutex<Option<Arc<Redis>>>,
    /// A node that was added to a cluster.
    pub(super) added: Mutex<Option<Arc<Redis>>>,
    /// What was moved between the nodes of a cluster, and not back.
    pub(super) moved: Mutex<Vec<Move>>,
}

impl Site {
    /// Starts it.
    pub fn open(shape: Shape) -> Result<Site> {
        let skus = [&PLENTY[..], &[SCARCE]].concat();
        let options = StackOptions {
            catalogue: Some(catalogue_of(&skus)?),
            environment: environment_of(&[
                ("HOLDFAST_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
                // The default, which the launcher has shortened.
                ("HOLDFAST_HTTP__DRAIN_NOTICE_MS", "5000"),
            ]),
            ..StackOptions::default()
        };
        let stack = Stack::start(match shape {
            Shape::Single | Shape::Haproxy | Shape::Nginx => options,
            Shape::MysqlServers => StackOptions {
                mysql_replicas: 2,
                ..options
            },
            Shape::KafkaBrokers => StackOptions {
                kafka_brokers: 3,
                ..options
            },
            Shape::Sentinel => StackOptions {
                redis_shape: shape::Shape::Sentinel,
                ..options
            },
            Shape::Cluster => StackOptions {
                redis_shape: shape::Shape::Cluster,
                ..options
            },
        })?;
        let second = stack.another_proxy()?;
        let before = |kind| Balancer::start(kind, [(&stack.proxy).into(), (&second).into()]);
        let balancer = match shape {
            Shape::Haproxy => Some(before(balancer::Kind::Haproxy)?),
            Shape::Nginx => Some(before(balancer::Kind::Nginx)?),
            _ => None,
        };
        Ok(Site {
            stack,
            second,
            balancer,
            chosen: Mutex::default(),
            added: Mutex::default(),
            moved: Mutex::default(),
        })
    }

    /// What clients ask.
    pub fn targets(&self) -> Vec<String> {
        match &self.balancer {
            Some(balancer) => vec![balancer.url()],
            None => vec![self.stack.proxy.url(), self.second.url()],
        }
    }

    /// How they ask.
    pub fn client(&self) -> Result<Client> {
        match &self.balancer {
            Some(balancer) => Ok(balancer.client()?.build()?),
            None => Ok(Client::new()),
        }
    }

    /// The database servers, where there are several.
    pub fn mysql(&self) -> Result<&MysqlServers> {
        let servers = self.stack.mysql_servers.as_ref();
        servers.context("there is one MySQL")
    }

    /// One of those that are not the primary.
    pub fn mysql_replica(&self) -> Result<&Mysql> {
        let servers = self.mysql()?;
        let primary = servers.primary_index();
        let mut others = (servers.all().iter().enumerate()).filter(|(place, _)| *place != primary);
        others
            .next()
            .map(|(_, server)| &**server)
            .context("there is no replica")
    }

    /// Starts the database server that was killed, and has it follow the primary.
    pub fn rejoin_mysql(&self) -> Result<()> {
        let servers = self.mysql()?;
        let is_down =
            |server: &Arc<Mysql>| server.server().is_ok_and(|server| !server.is_running());
        let down = servers.all().iter().position(is_down);
        let down = down.context("no MySQL is down")?;
        servers.all()[down].start_again()?;
        servers.rejoin(down).map(drop)
    }

    /// The broker that leads the first partition of the events.
    pub fn kafka_leader(&self) -> Result<&Server> {
        let kafka = &self.stack.kafka;
        let leader = kafka.leader(self.stack.topic(), 0)?;
        kafka.broker(leader.context("no broker leads")?)
    }

    /// Waits until every server is where it belongs and every proxy sells.
    pub fn wait_until_whole(&self) -> Result<()> {
        if let Ok(sentinel) = self.stack.sentinel() {
            sentinel.wait_until_well()?;
        }
        if let Ok(cluster) = self.stack.cluster() {
            cluster.wait_until_well()?;
        }
        if self.stack.kafka.count() > 1 {
            wait::until("the brokers to be in sync", WHOLE_WITHIN, || {
                Ok(self
                    .stack
                    .kafka
                    .is_in_sync(self.stack.topic())?
                    .then_some(()))
            })?;
        }
        let ports = [self.stack.proxy.admin_port(), self.second.admin_port()];
        wait::until("both proxies to be ready", WHOLE_WITHIN, || {
            let is_ready = |port: &u16| probe::http_status(*port, "/readyz") == Some(200);
            Ok(ports.iter().all(is_ready).then_some(()))
        })
    }
}
