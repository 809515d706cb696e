//! The shop that is disturbed: the servers of a shape with two proxies before them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Client;

use super::crowd::{PLENTY, SCARCE};
use crate::mysql::Mysql;
use crate::mysql_servers::MysqlServers;
use crate::probe;
use crate::proxy::Proxy;
use crate::stack::{Stack, StackOptions, catalogue_of};
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
}

/// A running shop with two proxies.
#[derive(Debug)]
pub struct Site {
    /// The servers and the first proxy.
    pub stack: Stack,
    /// The second proxy.
    pub second: Proxy,
}

impl Site {
    /// Starts it.
    pub fn open(shape: Shape) -> Result<Site> {
        let skus = [&PLENTY[..], &[SCARCE]].concat();
        let options = StackOptions {
            catalogue: Some(catalogue_of(&skus)?),
            ..StackOptions::default()
        };
        let stack = Stack::start(match shape {
            Shape::Single => options,
            Shape::MysqlServers => StackOptions {
                mysql_replicas: 2,
                ..options
            },
        })?;
        let second = stack.another_proxy()?;
        Ok(Site { stack, second })
    }

    /// What clients ask.
    pub fn targets(&self) -> Vec<String> {
        vec![self.stack.proxy.url(), self.second.url()]
    }

    /// How they ask.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new())
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

    /// Waits until every server is where it belongs and every proxy sells.
    pub fn wait_until_whole(&self) -> Result<()> {
        let ports = [self.stack.proxy.admin_port(), self.second.admin_port()];
        wait::until("both proxies to be ready", WHOLE_WITHIN, || {
            let is_ready = |port: &u16| probe::http_status(*port, "/readyz") == Some(200);
            Ok(ports.iter().all(is_ready).then_some(()))
        })
    }
}
