//! A private Redis Cluster (or Valkey's) with the module loaded in every node.

mod moving;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::data::{Home, Homes};
use crate::ports;
use crate::process::Process;
use crate::redis::{Redis, RedisOptions};
use crate::server::Server;
use crate::wait;

/// The hash slots of a cluster.
pub const SLOTS: usize = 16_384;

/// Generous, because nodes tell one another of changes once a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// Primaries that share the slots evenly, and replicas of them.
#[derive(Debug)]
pub struct RedisCluster {
    primaries: Vec<Arc<Redis>>,
    replicas: Vec<Arc<Redis>>,
    options: RedisOptions,
}

impl RedisCluster {
    /// Starts that many primaries, and a replica for each of the first `replicas` of them, and waits until all agree.
    /// They are started from redis-conf/cluster-node.conf.
    pub fn start(
        primaries: usize,
        replicas: usize,
        options: &RedisOptions,
    ) -> Result<RedisCluster> {
        RedisCluster::start_in(&Home::for_test, primaries, replicas, options)
    }

    /// The same in the homes of these names, where a cluster that has run before goes on as it was.
    pub fn start_in(
        home: Homes<'_>,
        primaries: usize,
        replicas: usize,
        options: &RedisOptions,
    ) -> Result<RedisCluster> {
        ensure!(replicas <= primaries, "a primary gets one replica at most");
        let start = |number| node(home(&format!("redis-{number}"))?, options).map(Arc::new);
        let cluster = RedisCluster {
            primaries: (1..=primaries).map(start).collect::<Result<_>>()?,
            replicas: (primaries + 1..=primaries + replicas)
                .map(start)
                .collect::<Result<_>>()?,
            options: options.clone(),
        };
        if cluster.listed()?.lines().count() == 1 {
            cluster.form()?;
        }
        cluster.wait_until_ok()?;
        Ok(cluster)
    }

    /// The primaries as they were at the start.
    pub fn primaries(&self) -> &[Arc<Redis>] {
        &self.primaries
    }

    /// The replicas as they were at the start, each of the primary at the same place.
    pub fn replicas(&self) -> &[Arc<Redis>] {
        &self.replicas
    }

    /// Every node that was there at the start.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Redis>> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// The slots that a primary was given at the start.
    pub fn slots(&self, primary: usize) -> Range<usize> {
        let bound = |number| SLOTS * number / self.primaries.len();
        bound(primary)..bound(primary + 1)
    }

    /// `redis+cluster://…`, or `rediss+cluster://…` with TLS, for who comes as the user of this role.
    pub fn url(&self, role: &str) -> Result<String> {
        let login = match &self.options.users {
            Some(users) => users.login(role)?,
            None => String::new(),
        };
        let nodes: Result<Vec<_>> = self
            .nodes()
            .map(|node| Ok(ports::local(node.port()?).to_string()))
            .collect();
        let scheme = self.options.scheme();
        Ok(format!("{scheme}+cluster://{login}{}", nodes?.join(",")))
    }

    /// The node that serves a slot now: of those that say that they do, the one with the latest right to it.
    pub fn owner(&self, slot: usize) -> Result<&Arc<Redis>> {
        let claims = self.nodes().filter(|node| runs(node)).map(|node| {
            let nodes = run(node, "CLUSTER NODES")?;
            Ok(claim(&nodes, slot).map(|epoch| (epoch, node)))
        });
        let claims: Vec<_> = claims.collect::<Result<_>>()?;
        let latest = claims.into_iter().flatten().max_by_key(|(epoch, _)| *epoch);
        Ok(latest
            .with_context(|| format!("no node serves slot {slot}"))?
            .1)
    }

    /// Starts a further node, which is a primary without slots, and waits until all know it.
    pub fn add_node(&self) -> Result<Redis> {
        let added = node(Home::for_test("redis")?, &self.options)?;
        let known = self.listed()?.lines().count() + 1;
        meet(self.member()?, &added)?;
        let all_know = |nodes: &str| nodes.lines().count() == known && !nodes.contains("handshake");
        self.wait_until("the new node to be known", all_know)?;
        wait::until("the new node to know the others", DEADLINE, || {
            Ok(all_know(&run(&added, "CLUSTER NODES")?).then_some(()))
        })?;
        wait_until_ok(&added)?;
        Ok(added)
    }

    /// Waits until every node that runs has all slots served.
    pub fn wait_until_ok(&self) -> Result<()> {
        self.nodes()
            .filter(|node| runs(node))
            .try_for_each(|node| wait_until_ok(node))
    }

    /// Waits until every node that runs takes part, as a primary or as a replica in step with its own.
    pub fn wait_until_well(&self) -> Result<()> {
        self.wait_until_ok()?;
        self.wait_until("no node to be missed", |nodes| {
            !nodes.contains("fail") && !nodes.contains("handshake")
        })?;
        for node in self.nodes().filter(|node| runs(node)) {
            wait::until("the replicas to follow", DEADLINE, || {
                let replication = run(node, "INFO replication")?;
                let follows = replication.contains("role:master")
                    || replication.contains("master_link_status:up");
                Ok(follows.then_some(()))
            })?;
        }
        Ok(())
    }

    /// Waits until every node that runs lists the nodes as `seen` wants them (the text of `CLUSTER NODES`).
    pub fn wait_until(&self, what: &str, seen: impl Fn(&str) -> bool) -> Result<()> {
        for node in self.nodes().filter(|node| runs(node)) {
            wait::until(what, DEADLINE, || {
                Ok(seen(&run(node, "CLUSTER NODES")?).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Makes one cluster of the nodes.
    fn form(&self) -> Result<()> {
        for (number, primary) in self.primaries.iter().enumerate() {
            let slots = self.slots(number);
            let range = format!("CLUSTER ADDSLOTSRANGE {} {}", slots.start, slots.end - 1);
            run(primary, &range)?;
            // Else two of one epoch might both call themselves the owner of a slot that is moved.
            run(primary, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
        }
        for node in self.nodes() {
            meet(self.member()?, node)?;
        }
        let (all, replicas) = (self.nodes().count(), self.replicas.len());
        self.wait_until("the nodes to know one another", |nodes| {
            nodes.lines().count() == all && !nodes.contains("handshake")
        })?;
        for (replica, primary) in self.replicas.iter().zip(&self.primaries) {
            run(replica, &format!("CLUSTER REPLICATE {}", id(primary)?))?;
        }
        self.wait_until("the replicas to be known", |nodes| {
            nodes.lines().filter(|line| line.contains("slave")).count() == replicas
        })
    }

    /// A node that runs, to ask it about all of them.
    fn member(&self) -> Result<&Arc<Redis>> {
        self.nodes().find(|node| runs(node)).context("no node runs")
    }

    fn listed(&self) -> Result<String> {
        run(self.member()?, "CLUSTER NODES")
    }
}

/// The id under which the other nodes know this one.
pub fn id(node: &Redis) -> Result<String> {
    run(node, "CLUSTER MYID")
}

/// Waits until the node knows who serves each slot, and that they do.
fn wait_until_ok(node: &Redis) -> Result<()> {
    let all = format!("cluster_slots_ok:{SLOTS}");
    wait::until("cluster_state:ok", DEADLINE, || {
        let info = run(node, "CLUSTER INFO")?;
        Ok((info.contains("cluster_state:ok") && info.contains(&all)).then_some(()))
    })
}

/// With which epoch the node whose `CLUSTER NODES` this is says that it serves the slot, if it does.
fn claim(nodes: &str, slot: usize) -> Option<u64> {
    let own = nodes.lines().find(|line| line.contains("myself,master"))?;
    let epoch = own.split(' ').nth(6)?.parse().ok()?;
    serves(own, slot).then_some(epoch)
}

/// Whether a line of `CLUSTER NODES` has the slot among its own.
fn serves(line: &str, slot: usize) -> bool {
    line.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse().ok().zip(last.parse().ok());
        bounds.is_some_and(|(first, last): (usize, usize)| (first..=last).contains(&slot))
    })
}

fn node(home: Home, options: &RedisOptions) -> Result<Redis> {
    let mut options = options.clone();
    let running = Process::find(&home.folder).is_some();
    // The default, 10000 above the node's own port, is among those that the kernel gives to outgoing connections.
    let bus = home.port("bus", running)?.to_string();
    options.args.extend(["--cluster-port".to_owned(), bus]);
    options.home = Some(home);
    options.files = vec!["standalone.conf", "cluster-node.conf"];
    Redis::start_private(options)
}

fn meet(member: &Redis, node: &Redis) -> Result<()> {
    let (port, bus) = (node.port()?, bus_port(node)?);
    run(member, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).map(drop)
}

fn bus_port(node: &Redis) -> Result<String> {
    let setting: (String, String) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("cluster-port")
        .query(&mut node.connection()?)?;
    Ok(setting.1)
}

fn runs(node: &Redis) -> bool {
    node.server().is_ok_and(Server::is_running)
}

fn run(node: &Redis, command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    Ok(command.query(&mut node.connection()?)?)
}
