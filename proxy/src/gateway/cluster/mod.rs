//! Redis Cluster: which shard answers for a key, kept up to date.
//!
//! A router of our own, because redis-rs's cluster client sends again what had no answer (which may
//! have been done), knows no standing of a single node, and while it reconnects to one node it has
//! kept the calls to the others waiting ([#2092](https://github.com/redis-rs/redis-rs/issues/2092)).
//!
//! `slots` reads what nodes say and decides who serves what; `table` holds a shard for each primary
//! through all changes; `watch` asks the nodes, again and again. `updates` follows what each shard
//! tells of stock, with a `listener` at each.

mod listener;
mod slots;
#[cfg(test)]
mod slots_tests;
mod table;
pub(super) mod updates;
mod watch;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::watch::Sender;
use tokio::time::timeout;

use super::keys::slot_of;
use super::redirect::Redirection;
use super::server::{Server, Servers};
use super::shard::Shard;
use super::standing::Guard;
use crate::config::Address;
use table::Table;

/// Among so many tags there is one for each slot, as good as surely.
const MOST_TAGS: u32 = 500_000;

/// The nodes of a cluster, and what each slot's shard is.
#[derive(Debug)]
pub(super) struct Cluster {
    servers: Servers,
    seeds: Vec<Arc<Server>>,
    table: RwLock<Table>,
    /// How often the table was renewed.
    renewed: Sender<u64>,
    /// Told when the table is found to be old.
    trouble: Arc<Notify>,
}

impl Cluster {
    /// Begins to ask at `seeds` who serves what. Needs a runtime.
    pub(super) fn open(seeds: Vec<Address>, servers: &Servers, guard: &Guard) -> Arc<Self> {
        let cluster = Arc::new(Self {
            servers: servers.clone(),
            seeds: seeds.into_iter().map(|seed| servers.at(seed)).collect(),
            table: RwLock::new(Table::new(guard.clone())),
            renewed: Sender::new(0),
            trouble: servers.trouble.clone(),
        });
        // Ends when the last gateway is gone.
        tokio::spawn(watch::keep(
            Arc::downgrade(&cluster),
            cluster.trouble.clone(),
        ));
        cluster
    }

    /// The shard that answers for a key, or any one where there is none.
    pub(super) fn shard_of(&self, key: Option<&[u8]>) -> Option<Arc<Shard>> {
        let table = self.table();
        match key {
            Some(key) => table.shard_of(slot_of(key)),
            None => table.shards().next(),
        }
        .cloned()
    }

    /// All shards that are known.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        self.table().shards().cloned().collect()
    }

    /// A hash tag whose keys the shard answers for, the first of `name-0`, `name-1`, …; none when it
    /// answers for nothing.
    pub(super) fn tag_at(&self, shard: &Arc<Shard>, name: &str) -> Option<String> {
        let table = self.table();
        // Else every tag would be tried in vain.
        if !table.has_slots(shard) {
            return None;
        }
        let mut tags = (0..MOST_TAGS).map(|number| format!("{name}-{number}"));
        tags.find(|tag| {
            let owner = table.shard_of(slot_of(tag.as_bytes()));
            owner.is_some_and(|owner| Arc::ptr_eq(owner, shard))
        })
    }

    /// Has it found out anew soon who serves what.
    pub(super) fn suspect(&self) {
        self.trouble.notify_one();
    }

    /// Waits until it is known anew who serves what, at most for so long.
    pub(super) async fn renewed(&self, within: Duration) {
        let mut renewed = self.renewed.subscribe();
        self.suspect();
        // The sender lives as long as the cluster.
        let _renewed = timeout(within, renewed.changed()).await;
    }

    /// Believes `asked` that a slot is another's, and finds out the rest. False when that one is
    /// not known to serve any slot: it may have been promoted, which only a new look can tell.
    pub(super) fn moved(&self, to: &Redirection, asked: &Server) -> bool {
        self.suspect();
        let address = absolute(&to.address, asked);
        self.table_to_change().correct(to.slot, &address)
    }

    /// The server that a slot is on its way to.
    pub(super) fn importing(&self, to: &Redirection, asked: &Server) -> Arc<Server> {
        let address = absolute(&to.address, asked);
        let known = self.table().server(&address);
        known.unwrap_or_else(|| self.table_to_change().add_server(address, &self.servers))
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        // Nothing in here panics while it holds the lock.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_to_change(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node that knows no host of its own is where the one is that named it.
fn absolute(address: &Address, asked: &Server) -> Address {
    let host = match address.host.as_str() {
        "" | "?" => &asked.address().host,
        host => host,
    };
    Address {
        host: host.to_owned(),
        port: address.port,
    }
}
