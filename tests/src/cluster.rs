//! A private Redis Cluster (or Valkey's) with the module loaded in every node.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ports;
use crate::redis::{Redis, RedisOptions};
use crate::wait;

/// The hash slots of a cluster.
pub const SLOTS: usize = 16_384;

/// Generous, because nodes tell one another of changes once a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a node may be silent before the others take it for dead, in milliseconds.
const NODE_TIMEOUT_MS: &str = "3000";

/// Primaries that share the slots evenly, and replicas of them.
#[derive(Debug)]
pub struct RedisCluster {
    primaries: Vec<Redis>,
    replicas: Vec<Redis>,
}

impl RedisCluster {
    /// Starts that many primaries, and a replica for each of the first `replicas` of them, and waits until all agree.
    pub fn start(
        primaries: usize,
        replicas: usize,
        options: &RedisOptions,
    ) -> Result<RedisCluster> {
        ensure!(replicas <= primaries, "a primary gets one replica at most");
        let start = || node(options.clone());
        let cluster = RedisCluster {
            primaries: (0..primaries).map(|_| start()).collect::<Result<_>>()?,
            replicas: (0..replicas).map(|_| start()).collect::<Result<_>>()?,
        };
        for (number, primary) in cluster.primaries.iter().enumerate() {
            let slots = cluster.slots(number);
            let range = format!("CLUSTER ADDSLOTSRANGE {} {}", slots.start, slots.end - 1);
            run(primary, &range)?;
            // Else two of one epoch might both call themselves the owner of a slot that is moved.
            run(primary, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
        }
        let first = cluster.primaries.first().context("no primary")?;
        for node in cluster.nodes() {
            let meet = format!(
                "CLUSTER MEET 127.0.0.1 {} {}",
                node.port()?,
                bus_port(node)?
            );
            run(first, &meet)?;
        }
        cluster.wait_until("the nodes to know one another", |nodes| {
            nodes.lines().count() == primaries + replicas && !nodes.contains("handshake")
        })?;
        for (replica, primary) in cluster.replicas.iter().zip(&cluster.primaries) {
            run(replica, &format!("CLUSTER REPLICATE {}", id(primary)?))?;
        }
        cluster.wait_until("the replicas to be known", |nodes| {
            nodes.lines().filter(|line| line.contains("slave")).count() == replicas
        })?;
        cluster.wait_until_ok()?;
        Ok(cluster)
    }

    /// The primaries as they were at the start.
    pub fn primaries(&self) -> &[Redis] {
        &self.primaries
    }

    /// The replicas as they were at the start, each of the primary at the same place.
    pub fn replicas(&self) -> &[Redis] {
        &self.replicas
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = &Redis> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// The slots that a primary was given at the start.
    pub fn slots(&self, primary: usize) -> Range<usize> {
        let bound = |number| SLOTS * number / self.primaries.len();
        bound(primary)..bound(primary + 1)
    }

    /// Waits until every node that runs has all slots served.
    pub fn wait_until_ok(&self) -> Result<()> {
        for node in self.nodes().filter(|node| runs(node)) {
            wait::until("cluster_state:ok", DEADLINE, || {
                let info = run(node, "CLUSTER INFO")?;
                Ok(info.contains("cluster_state:ok").then_some(()))
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
}

/// The id under which the other nodes know this one.
pub fn id(node: &Redis) -> Result<String> {
    run(node, "CLUSTER MYID")
}

fn node(mut options: RedisOptions) -> Result<Redis> {
    let bus = ports::free()?.to_string();
    let own = [
        ["--cluster-enabled", "yes"],
        // The default, 10000 above the node's own port, is among those that the kernel gives to outgoing connections.
        ["--cluster-port", &bus],
        ["--cluster-node-timeout", NODE_TIMEOUT_MS],
    ];
    options
        .args
        .extend(own.concat().into_iter().map(str::to_owned));
    Redis::start_private(options)
}

fn bus_port(node: &Redis) -> Result<String> {
    let setting: (String, String) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("cluster-port")
        .query(&mut node.connection()?)?;
    Ok(setting.1)
}

fn runs(node: &Redis) -> bool {
    node.server().is_ok_and(|server| server.is_running())
}

fn run(node: &Redis, command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    Ok(command.query(&mut node.connection()?)?)
}
