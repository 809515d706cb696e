//! Asks the nodes who serves what: now and then, at once when somebody met trouble, and all the
//! time while a part of the cluster is not served.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{FromRedisValue, cmd};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Cluster;
use super::slots::{Node, read};
use crate::gateway::request::Request;
use crate::gateway::server::Server;

/// Between two looks while all is well.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks while it is not, and at least between any two.
const PAUSE: Duration = Duration::from_millis(100);
/// A node may take so long to say what it knows.
const PATIENCE: Duration = Duration::from_millis(500);
/// How much longer than the first the others may take: one that is silent holds nobody up.
const GRACE: Duration = Duration::from_millis(50);
/// The most nodes asked in one look.
const AT_ONCE: usize = 16;

/// Looks until the last gateway to the cluster is gone.
pub(super) async fn keep(cluster: Weak<Cluster>, trouble: Arc<Notify>) {
    let mut round = 0;
    loop {
        let is_well = match cluster.upgrade() {
            Some(cluster) => cluster.look(round).await,
            None => return,
        };
        round += 1;
        sleep(PAUSE).await;
        if is_well {
            let _trouble_or_time = timeout(INTERVAL - PAUSE, trouble.notified()).await;
        }
    }
}

impl Cluster {
    /// Asks once and takes over what is said; false when it is to be asked again soon.
    async fn look(&self, round: usize) -> bool {
        let mut asked = self.table().to_ask();
        // In a large cluster others each time.
        let first = round * AT_ONCE % asked.len().max(1);
        asked.rotate_left(first);
        asked.truncate(AT_ONCE);
        let mut answers = ask(&asked).await;
        if answers.is_empty() {
            answers = ask(&self.seeds).await;
        }
        if answers.is_empty() {
            return false;
        }
        let mut table = self.table_to_change();
        table.renew(&answers, &self.servers);
        let is_well = table.is_whole() && answers.len() == asked.len();
        drop(table);
        self.renewed.send_modify(|times| *times += 1);
        is_well
    }
}

/// What those of `servers` say that answer in time.
async fn ask(servers: &[Arc<Server>]) -> Vec<Vec<Node>> {
    let mut asked = JoinSet::new();
    for server in servers {
        asked.spawn(nodes(server.clone()));
    }
    let mut answers = Vec::with_capacity(servers.len());
    let mut patience = PATIENCE;
    while let Ok(Some(answer)) = timeout(patience, asked.join_next()).await {
        if let Ok(Some(nodes)) = answer {
            answers.push(nodes);
            patience = GRACE;
        }
    }
    // Who is silent is still waited for, so that its connection is found to be dead.
    asked.detach_all();
    answers
}

async fn nodes(server: Arc<Server>) -> Option<Vec<Node>> {
    let mut command = cmd("CLUSTER");
    command.arg("NODES");
    let deadline = Instant::now() + PATIENCE;
    let answer = server
        .send(Request::Command(&command), false, deadline)
        .await;
    let nodes = answer
        .map_err(|failure| failure.error.to_string())
        .and_then(|answer| String::from_redis_value(answer).map_err(|error| error.to_string()))
        .and_then(|text| read(&text, server.address()).map_err(|error| error.to_string()));
    if let Err(error) = &nodes {
        tracing::debug!(%error, "a node of the cluster did not say who serves what");
    }
    nodes.ok()
}
