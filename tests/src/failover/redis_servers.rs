//! What is done to the servers of Redis where there are several.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use super::crowd::{PLENTY, SCARCE};
use super::site::Site;
use crate::redis::Redis;
use crate::server::Server;

/// So many slots are moved with each product: that of its stock, and of carts and sessions those behind it.
const SLOTS_MOVED: usize = 20;

/// Slots that were moved.
#[derive(Debug)]
pub(super) struct Move {
    slots: Range<usize>,
    from: Arc<Redis>,
    to: Arc<Redis>,
}

impl Site {
    /// The primary under Sentinel.
    pub fn redis_primary(&self) -> Result<&Arc<Redis>> {
        self.stack.sentinel()?.primary()
    }

    /// The primary of a cluster that has a product of which there is plenty.
    pub fn cluster_primary(&self) -> Result<&Arc<Redis>> {
        self.stack.cluster()?.owner(self.slot(PLENTY[0])?)
    }

    /// A replica of a cluster.
    pub fn cluster_replica(&self) -> Result<&Arc<Redis>> {
        let is_replica = |node: &&Arc<Redis>| is_replica(node).unwrap_or(false);
        let mut nodes = self.stack.cluster()?.nodes();
        nodes.find(is_replica).context("no node is a replica")
    }

    /// Remembers to which server something is done.
    pub fn choose(&self, server: &Arc<Redis>) -> Result<Arc<Redis>> {
        *lock(&self.chosen) = Some(Arc::clone(server));
        Ok(Arc::clone(server))
    }

    /// The server that was chosen last.
    pub fn chosen(&self) -> Result<Arc<Redis>> {
        lock(&self.chosen).clone().context("no server was chosen")
    }

    /// Starts whatever was killed.
    pub fn start_redis_again(&self) -> Result<()> {
        let servers: Vec<&Arc<Redis>> = match self.stack.sentinel() {
            Ok(sentinel) => sentinel.servers().iter().collect(),
            Err(_) => self.stack.cluster()?.nodes().collect(),
        };
        servers
            .into_iter()
            .try_for_each(|server| server.start_again())
    }

    /// Moves the stock of every product to another node, key by key.
    pub fn move_stock(&self) -> Result<()> {
        let cluster = self.stack.cluster()?;
        let owner = |sku: &&str| cluster.owner(self.slot(sku)?);
        let skus = [&PLENTY[..], &[SCARCE]].concat();
        let owners: Vec<_> = skus.iter().map(owner).collect::<Result<_>>()?;
        for (sku, from) in skus.iter().zip(&owners) {
            let to = owners.iter().find(|other| !Arc::ptr_eq(other, from));
            self.move_slots(sku, from, to.context("one node has everything")?)?;
        }
        Ok(())
    }

    /// Lets a further node in; the one that is there already, where that was done before.
    pub fn add_node(&self) -> Result<()> {
        let mut added = lock(&self.added);
        if added.is_none() {
            *added = Some(Arc::new(self.stack.cluster()?.add_node()?));
        }
        Ok(())
    }

    /// Moves some stock of each node to the one that was added, key by key.
    pub fn move_stock_to_added(&self) -> Result<()> {
        let added = lock(&self.added).clone().context("no node was added")?;
        let cluster = self.stack.cluster()?;
        let some = [PLENTY[0], PLENTY[1], PLENTY[2]];
        some.iter()
            .try_for_each(|sku| self.move_slots(sku, cluster.owner(self.slot(sku)?)?, &added))
    }

    /// Moves everything back to where it was; as a whole where the servers can (`CLUSTER MIGRATESLOTS`).
    pub fn move_stock_back(&self) -> Result<()> {
        let cluster = self.stack.cluster()?;
        let moved: Vec<Move> = lock(&self.moved).drain(..).collect();
        for Move { slots, from, to } in moved {
            match cluster.moves_slots_whole()? {
                true => cluster.move_slots_whole(slots, &to, &from)?,
                false => cluster.move_slots(slots, &to, &from)?,
            }
        }
        Ok(())
    }

    fn move_slots(&self, sku: &str, from: &Arc<Redis>, to: &Arc<Redis>) -> Result<()> {
        let first = self.slot(sku)?;
        let slots = first..first + SLOTS_MOVED;
        self.stack.cluster()?.move_slots(slots.clone(), from, to)?;
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        lock(&self.moved).push(Move { slots, from, to });
        Ok(())
    }

    /// The slot of a product's stock.
    fn slot(&self, sku: &str) -> Result<usize> {
        let key = format!("inv:{{{sku}}}");
        let mut command = redis::cmd("CLUSTER");
        let mut nodes = self.stack.cluster()?.nodes();
        let node = nodes.find(|node| node.server().is_ok_and(Server::is_running));
        let node = node.context("no node runs")?;
        Ok(command
            .arg("KEYSLOT")
            .arg(key)
            .query(&mut node.connection()?)?)
    }
}

fn is_replica(node: &Redis) -> Result<bool> {
    let replication: String = redis::cmd("INFO")
        .arg("replication")
        .query(&mut node.connection()?)?;
    Ok(replication.contains("role:slave"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
