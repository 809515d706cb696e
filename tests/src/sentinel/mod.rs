//! A private primary with two replicas, and three Sentinels that watch them.

mod watcher;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::cut::Wire;
use crate::data::{Home, Homes, Lifetime};
use crate::ports;
use crate::process::Process;
use crate::redis::{Redis, RedisOptions};
use crate::server::Server;
use crate::users::Users;
use crate::wait;

pub use watcher::Sentinel;

/// The name under which the Sentinels know the primary.
pub const SERVICE: &str = "holdfast";

const SERVERS: usize = 3;
const SENTINELS: usize = 3;

/// Generous, because Sentinels tell one another of themselves every two seconds, and of roles every ten.
const DEADLINE: Duration = Duration::from_secs(60);

/// The servers under Sentinel.
#[derive(Debug)]
pub struct RedisUnderSentinel {
    sentinels: Vec<Sentinel>,
    servers: Vec<Arc<Redis>>,
    /// To each server, in tests, where all reach it by this alone.
    wires: Vec<Wire>,
    users: Users,
}

impl RedisUnderSentinel {
    /// Starts those of a test and waits until all is well. Each is started as `options` say, from redis-conf/ and
    /// sentinel/, with users.
    pub fn start(options: &RedisOptions) -> Result<RedisUnderSentinel> {
        RedisUnderSentinel::start_in(&Home::for_test, options)
    }

    /// The same in the homes of these names, where what has run before goes on with the roles that it had.
    pub fn start_in(home: Homes<'_>, options: &RedisOptions) -> Result<RedisUnderSentinel> {
        let users = Users::of(&home("redis-users")?)?;
        let mut servers = Vec::new();
        let mut wires = Vec::new();
        let mut first = None;
        for number in 1..=SERVERS {
            let home = home(&format!("redis-{number}"))?;
            let running = Process::find(&home.folder).is_some();
            let port = home.port("redis", running)?;
            let announced = match home.lifetime {
                Lifetime::Test => {
                    let wire = Wire::to(port)?;
                    let port = wire.port();
                    wires.push(wire);
                    port
                }
                Lifetime::Detached => port,
            };
            let server = Redis::start_private(RedisOptions {
                home: Some(home),
                port: Some(port),
                files: vec!["standalone.conf", "replica.conf"],
                users: Some(users.clone()),
                announced: Some(announced),
                replica_of: first,
                ..options.clone()
            })?;
            first.get_or_insert(announced);
            servers.push(Arc::new(server));
        }
        let primary = first.context("there is no server")?;
        let start = |number| Sentinel::start(home(&format!("sentinel-{number}"))?, primary, &users);
        let under = RedisUnderSentinel {
            sentinels: (1..=SENTINELS).map(start).collect::<Result<_>>()?,
            servers,
            wires,
            users,
        };
        under.wait_until_well()?;
        Ok(under)
    }

    /// The servers, primary and replicas alike, in the order of their start.
    pub fn servers(&self) -> &[Arc<Redis>] {
        &self.servers
    }

    /// The Sentinels.
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// Who may log in.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// `redis+sentinel://…`, for who comes as the user of this role.
    pub fn url(&self, role: &str) -> Result<String> {
        let sentinels: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| ports::local(sentinel.port()).to_string())
            .collect();
        let login = self.users.login(role)?;
        Ok(format!(
            "redis+sentinel://{login}{}/{SERVICE}",
            sentinels.join(",")
        ))
    }

    /// Which of the servers is the primary now, by the word of the Sentinel that knows of the latest failover.
    pub fn primary(&self) -> Result<&Arc<Redis>> {
        let views = self.sentinels.iter().filter_map(|it| it.view().ok());
        let latest = views.max_by_key(|view| view.epoch);
        let latest = latest.context("no Sentinel answers")?;
        self.at(latest.port)
    }

    /// The servers that are not the primary now.
    pub fn replicas(&self) -> Result<Vec<&Arc<Redis>>> {
        let primary = self.primary()?;
        let others = self.servers.iter().filter(|it| !Arc::ptr_eq(it, primary));
        Ok(others.collect())
    }

    /// Cuts a server off, as a partition does: whoever is connected to it hears nothing more, and nobody else gets an
    /// answer. It runs on, and what it has connected to itself (a replica to its primary) stays.
    pub fn cut(&self, server: &Redis) -> Result<()> {
        self.wire(server).map(Wire::cut)
    }

    /// Ends the partition.
    pub fn mend(&self, server: &Redis) -> Result<()> {
        self.wire(server).map(Wire::mend)
    }

    /// Has the Sentinels make a replica the primary while nothing is wrong, as an operator does, and waits until they
    /// say so.
    pub fn fail_over(&self) -> Result<()> {
        let before = Arc::clone(self.primary()?);
        let sentinel = self.sentinels.first().context("there is no Sentinel")?;
        let () = sentinel.ask(&["FAILOVER", SERVICE])?;
        self.wait_for_another_primary(&before)
    }

    /// Waits until a server other than this one is the primary.
    pub fn wait_for_another_primary(&self, than: &Redis) -> Result<()> {
        let than = than.port()?;
        wait::until("another primary", DEADLINE, || {
            Ok((self.primary()?.port()? != than).then_some(()))
        })
    }

    /// Waits until all Sentinels that run agree on the primary, and all servers that run follow it.
    pub fn wait_until_well(&self) -> Result<()> {
        let mut wrong = anyhow!("nobody was asked");
        let well = wait::until("the Sentinels to be content", DEADLINE, || {
            Ok(match self.check() {
                Ok(()) => Some(()),
                Err(error) => {
                    wrong = error;
                    None
                }
            })
        });
        well.map_err(|error| error.context(format!("{wrong:#}")))
    }

    fn check(&self) -> Result<()> {
        let running = |server: &&Arc<Redis>| server.server().is_ok_and(Server::is_running);
        let primary = self.primary()?;
        let followers = self.servers.iter().filter(running).count() - 1;
        let replication: String = redis::cmd("INFO")
            .arg("replication")
            .query(&mut primary.connection()?)?;
        ensure!(replication.contains("role:master"), "{replication}");
        let online = replication.matches("state=online").count();
        ensure!(online == followers, "{online} of {followers} follow");
        let sentinels = self.sentinels.iter().filter(|it| it.server().is_running());
        let sentinels: Vec<_> = sentinels.collect();
        for sentinel in &sentinels {
            let view = sentinel.view()?;
            ensure!(
                Arc::ptr_eq(self.at(view.port)?, primary),
                "another primary: {view:?}"
            );
            ensure!(view.flags == "master", "{view:?}");
            ensure!(view.sentinels >= sentinels.len(), "{view:?}");
            let replicas: Vec<HashMap<String, String>> = sentinel.ask(&["REPLICAS", SERVICE])?;
            let well = replicas
                .iter()
                .filter(|replica| replica["flags"] == "slave");
            ensure!(well.count() == followers, "{replicas:?}");
        }
        Ok(())
    }

    fn at(&self, port: u16) -> Result<&Arc<Redis>> {
        let place = match self.wires.is_empty() {
            true => self
                .servers
                .iter()
                .position(|it| it.port().ok() == Some(port)),
            false => self.wires.iter().position(|wire| wire.port() == port),
        };
        place
            .and_then(|place| self.servers.get(place))
            .with_context(|| format!("no server of ours is at port {port}"))
    }

    fn wire(&self, server: &Redis) -> Result<&Wire> {
        let port = server.port()?;
        let place = self
            .servers
            .iter()
            .position(|it| it.port().ok() == Some(port));
        place
            .and_then(|place| self.wires.get(place))
            .context("only a server of a test can be cut off")
    }
}
