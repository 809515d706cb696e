//! The truth, and in which order its servers are named.

use serde::Deserialize;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;

use super::check::{check_with, ensure};
use super::{Error, Secret};

/// The truth: MySQL 8+ or MariaDB 10.6+.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mysql {
    /// `mysql://user:password@host:port[,host:port…]/database`: the servers of which one is the primary.
    pub url: Secret,
    /// The most connections open at once, from 4 to 300; three of them are the committers'.
    pub max_connections: u32,
    /// How long a request may wait for a connection, ms.
    pub acquire_timeout_ms: u64,
    /// Replicas, for reads that may be a moment old, named alike: the first that keeps up is read.
    pub replica_url: Option<Secret>,
    /// A replica that is further behind is not read, ms.
    pub replica_max_lag_ms: u64,
}

/// One of several servers.
#[derive(Debug, Clone)]
pub struct MysqlHost {
    /// `host:port`, as it is logged and counted.
    pub name: String,
    /// How it is connected to.
    pub options: MySqlConnectOptions,
}

impl Default for Mysql {
    fn default() -> Self {
        Self {
            url: Secret("mysql://holdfast@127.0.0.1:3306/holdfast".into()),
            max_connections: 32,
            acquire_timeout_ms: 3_000,
            replica_url: None,
            replica_max_lag_ms: 1_000,
        }
    }
}

impl Mysql {
    /// The servers of which one is written to.
    ///
    /// # Errors
    /// When `mysql.url` names none, which the check of the configuration would have said.
    pub fn hosts(&self) -> Result<Vec<MysqlHost>, Error> {
        hosts("mysql.url", &self.url)
    }

    /// The servers that may be read, in order.
    ///
    /// # Errors
    /// As [`Mysql::hosts`].
    pub fn replica_hosts(&self) -> Result<Vec<MysqlHost>, Error> {
        let url = self.replica_url.as_ref();
        url.map_or(Ok(Vec::new()), |url| hosts("mysql.replica_url", url))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        ensure(
            (4..=300).contains(&self.max_connections),
            "mysql.max_connections",
            "must be from 4 to 300",
        )?;
        self.hosts()?;
        self.replica_hosts().map(drop)
    }
}

/// The driver knows URLs of one host, so each gets its own.
fn hosts(setting: &'static str, url: &Secret) -> Result<Vec<MysqlHost>, Error> {
    let url = url.expose();
    let is_mysql = url.starts_with("mysql://") || url.starts_with("mariadb://");
    ensure(is_mysql, setting, "must begin with mysql://")?;
    let (before, names, after) = around_hosts(url);
    names
        .split(',')
        .map(|name| {
            ensure(
                !name.is_empty() || !names.contains(','),
                setting,
                "names a host that is empty; write host:port,host:port",
            )?;
            let parsed = format!("{before}{name}{after}").parse::<MySqlConnectOptions>();
            let options = check_with(setting, parsed)?.disable_statement_logging();
            let name = format!("{}:{}", options.get_host(), options.get_port());
            Ok(MysqlHost { name, options })
        })
        .collect()
}

/// What stands before the hosts, the hosts, and what stands behind them. A password may have commas.
fn around_hosts(url: &str) -> (&str, &str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| authority + at);
    let begin = url[authority..end]
        .rfind('@')
        .map_or(authority, |at| authority + at + 1);
    (&url[..begin], &url[begin..end], &url[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Result<Vec<String>, String> {
        let hosts = hosts("mysql.url", &Secret(url.into())).map_err(|error| error.to_string())?;
        Ok(hosts.into_iter().map(|host| host.name).collect())
    }

    #[test]
    fn hosts_are_named_one_after_the_other() {
        let one = named("mysql://shop:a,b@db/holdfast");
        assert_eq!(one, Ok(vec!["db:3306".to_owned()]));
        let several = named("mysql://shop:secret@a:3307,b,[::1]:3308/holdfast?ssl-mode=required");
        let names = ["a:3307", "b:3306", "[::1]:3308"].map(String::from);
        assert_eq!(several, Ok(names.to_vec()));
        let hosts = hosts("mysql.url", &Secret("mysql://u:p@a,b/shop".into()));
        let database = |host: &MysqlHost| host.options.get_database().map(String::from);
        let databases: Vec<_> = hosts.expect("two hosts").iter().map(database).collect();
        assert_eq!(
            databases,
            [Some("shop".to_owned()), Some("shop".to_owned())]
        );
    }

    #[test]
    fn what_names_no_host_is_refused_without_its_password() {
        for url in [
            "mysql://u:hunter2@a,,b/shop",
            "mysql://u:hunter2@a,/shop",
            "mysql://u:hunter2@a:x,b/shop",
            "postgres://u:hunter2@a/shop",
        ] {
            let refused = named(url).expect_err(url);
            assert!(refused.starts_with("mysql.url: "), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
