//! Several database servers of which one is the primary, by the files and scripts of deploy/mysql.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::data::{self, Home};
use crate::mysql::{ADMINISTRATOR, Mysql, REPLICA, Role};

/// How long a server may take to end that was filled anew.
const FILLED_WITHIN: Duration = Duration::from_secs(30);

/// A primary and those that follow it, each of which may become the primary.
#[derive(Debug)]
pub struct MysqlServers {
    servers: Vec<Arc<Mysql>>,
    /// Which of them was promoted last.
    primary: AtomicUsize,
    home: Home,
}

impl MysqlServers {
    /// Starts a primary and so many replicas side by side, with one password for all, and promotes the first.
    pub fn start(replicas: usize) -> Result<MysqlServers> {
        let home = Home::for_test("mysql-servers")?;
        let password = home.secret("password")?;
        let server = |id: usize| {
            let home = Home::for_test("mysql")?;
            home.write_private("password", &password)?;
            Mysql::start_as(Role::OneOf { id }, Some(&home)).map(Arc::new)
        };
        let servers = thread::scope(|scope| {
            let starting: Vec<_> = (1..=replicas + 1)
                .map(|id| scope.spawn(move || server(id)))
                .collect();
            let started = starting.into_iter().map(|server| {
                let joined = server.join();
                joined.unwrap_or_else(|_| Err(anyhow!("a thread that starts a server panicked")))
            });
            started.collect::<Result<Vec<_>>>()
        })?;
        let tls = if crate::mysql::starts_mariadb()? {
            ""
        } else {
            "ssl\n"
        };
        home.write_private(
            "administrator.cnf",
            &format!("[client]\nuser = {ADMINISTRATOR}\npassword = {password}\n{tls}"),
        )?;
        home.write_private("replica-login", &format!("{REPLICA}\n{password}\n"))?;
        let servers = MysqlServers {
            servers,
            primary: AtomicUsize::new(0),
            home,
        };
        servers.promote_to(0)?;
        Ok(servers)
    }

    /// All of them, in the order in which the proxy is told of them.
    pub fn all(&self) -> &[Arc<Mysql>] {
        &self.servers
    }

    /// The one that was promoted last, whether it lives or not.
    pub fn primary(&self) -> &Arc<Mysql> {
        &self.servers[self.primary.load(Ordering::Relaxed)]
    }

    /// Which of [`MysqlServers::all`] was promoted last.
    pub fn primary_index(&self) -> usize {
        self.primary.load(Ordering::Relaxed)
    }

    /// The URL that names all of them, as `mysql.url` takes it.
    pub fn url(&self, database: &str) -> Result<String> {
        let all = self.addresses()?.join(",");
        let first = self.servers[0].url(database);
        let address = format!("127.0.0.1:{}", self.servers[0].port()?);
        Ok(first.replace(&address, &all))
    }

    /// Has deploy/mysql/promote choose the server that has the most, and make it the primary: it is answered as an index.
    pub fn promote(&self) -> Result<usize> {
        self.promote_with(&[])
    }

    /// Has deploy/mysql/promote make this one the primary.
    pub fn promote_to(&self, server: usize) -> Result<usize> {
        let address = self.addresses()?.swap_remove(server);
        self.promote_with(&["--to", &address])
    }

    /// The same with options of promote, such as `--alone`.
    pub fn promote_with(&self, options: &[&str]) -> Result<usize> {
        let addresses = self.addresses()?;
        let arguments = options.iter().copied();
        let said = self.run(
            "promote",
            arguments.chain(addresses.iter().map(String::as_str)),
        )?;
        let primary = addresses
            .iter()
            .position(|address| said.contains(&format!("{address} is the primary")))
            .with_context(|| format!("promote does not say who the primary is: {said}"))?;
        self.primary.store(primary, Ordering::Relaxed);
        Ok(primary)
    }

    /// Has deploy/mysql/rejoin take a server up again that was started again. Fails when it has what the primary has not.
    pub fn rejoin(&self, server: usize) -> Result<String> {
        self.rejoin_with(server, None)
    }

    /// The same for whatever state the server is in: started if it does not run, and filled anew if it is refused, as
    /// MySQL's primaries are that were killed under load.
    pub fn bring_back(&self, server: usize) -> Result<()> {
        let mysql = &self.servers[server];
        mysql.start_again()?;
        let Err(refused) = self.rejoin(server) else {
            return Ok(());
        };
        ensure!(refused.to_string().contains("has what"), refused);
        self.rejoin_with(server, Some("--fill"))?;
        mysql.server()?.wait_for_end(FILLED_WITHIN)?;
        mysql.start_again()?;
        self.rejoin(server).map(drop)
    }

    fn rejoin_with(&self, server: usize, option: Option<&str>) -> Result<String> {
        let addresses = self.addresses()?;
        let all = addresses.iter().map(String::as_str);
        let named = std::iter::once(addresses[server].as_str()).chain(all);
        self.run("rejoin", option.into_iter().chain(named))
    }

    /// Takes away what keeps acknowledged orders: the primary waits for no replica any more, and none receives anything.
    pub fn acknowledge_alone(&self) -> Result<()> {
        let (alone, silent) = match crate::mysql::starts_mariadb()? {
            true => (
                "SET GLOBAL rpl_semi_sync_master_enabled = OFF",
                "STOP SLAVE IO_THREAD",
            ),
            false => (
                "SET GLOBAL rpl_semi_sync_source_enabled = OFF",
                "STOP REPLICA IO_THREAD",
            ),
        };
        self.primary().administer(alone)?;
        let replicas = self.servers.iter().enumerate();
        for (_, replica) in replicas.filter(|(at, _)| *at != self.primary_index()) {
            replica.administer(silent)?;
        }
        Ok(())
    }

    fn addresses(&self) -> Result<Vec<String>> {
        let address = |server: &Arc<Mysql>| Ok(format!("127.0.0.1:{}", server.port()?));
        self.servers.iter().map(address).collect()
    }

    fn run<'a>(&self, script: &str, arguments: impl Iterator<Item = &'a str>) -> Result<String> {
        let scripts = folder();
        let output = Command::new(scripts.join(script))
            .args(arguments)
            .env("HOLDFAST_MYSQL_ADMIN", self.home.path("administrator.cnf"))
            .env("HOLDFAST_MYSQL_REPLICA", self.home.path("replica-login"))
            .output()
            .with_context(|| format!("cannot run deploy/mysql/{script}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "deploy/mysql/{script} failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }
}

/// Where the configuration and the scripts of an operator stand.
pub(crate) fn folder() -> PathBuf {
    data::checkout().join("deploy/mysql")
}
