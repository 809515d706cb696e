//! A replica of a private database server.

use anyhow::{Context, Result};

use crate::mysql::{self, ADMINISTRATOR, Mysql, Role};

/// A server that follows a primary. It is killed when this is dropped.
#[derive(Debug)]
pub struct Replica {
    mysql: Mysql,
    is_mariadb: bool,
}

impl Replica {
    /// Starts a replica of `primary`, which was started by [`Mysql::start_primary`], and has it
    /// follow from the beginning on.
    pub fn start(primary: &Mysql) -> Result<Replica> {
        let mysql = Mysql::start_as(Role::Replica, None)?;
        let is_mariadb = mysql::starts_mariadb()?;
        let (port, password) = (primary.port()?, primary.password()?);
        let follow = match is_mariadb {
            true => format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = '{ADMINISTRATOR}',
                     MASTER_PASSWORD = '{password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1"
            ),
            false => format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port},
                     SOURCE_USER = '{ADMINISTRATOR}', SOURCE_PASSWORD = '{password}', SOURCE_AUTO_POSITION = 1,
                     SOURCE_SSL = 1, SOURCE_CONNECT_RETRY = 1"
            ),
        };
        let replica = Replica { mysql, is_mariadb };
        replica
            .mysql
            .administer(follow)
            .context("the replica does not know its primary")?;
        replica.tell("START")?;
        Ok(replica)
    }

    /// The server: its URL, and to stop, kill or start it again.
    pub fn mysql(&self) -> &Mysql {
        &self.mysql
    }

    /// Has it fall behind from now on: it receives what the primary does, and does none of it.
    pub fn fall_behind(&self) -> Result<()> {
        self.tell_about("STOP", "SQL_THREAD")
    }

    /// Has it do what it has missed, and follow again.
    pub fn catch_up(&self) -> Result<()> {
        self.tell_about("START", "SQL_THREAD")
    }

    fn tell(&self, what: &str) -> Result<()> {
        self.tell_about(what, "")
    }

    fn tell_about(&self, what: &str, thread: &str) -> Result<()> {
        let role = if self.is_mariadb { "SLAVE" } else { "REPLICA" };
        self.mysql.administer(format!("{what} {role} {thread}"))
    }
}
