//! The shards of a cluster by slot, through every change of who serves them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::slots::{Id, Node, Succession, View};
use crate::config::Address;
use crate::gateway::keys::SLOTS;
use crate::gateway::server::{Server, Servers};
use crate::gateway::shard::Shard;
use crate::gateway::standing::Guard;

/// What is known of a cluster.
#[derive(Debug)]
pub(super) struct Table {
    guard: Guard,
    view: View,
    /// By the id of its primary.
    shards: BTreeMap<Id, Arc<Shard>>,
    by_slot: Vec<Option<Arc<Shard>>>,
    servers: HashMap<Address, Arc<Server>>,
}

impl Table {
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            view: View::default(),
            shards: BTreeMap::new(),
            by_slot: vec![None; SLOTS.into()],
            servers: HashMap::new(),
        }
    }

    pub fn shard_of(&self, slot: u16) -> Option<&Arc<Shard>> {
        self.by_slot.get(usize::from(slot))?.as_ref()
    }

    pub fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.values()
    }

    pub fn server(&self, address: &Address) -> Option<Arc<Server>> {
        self.servers.get(address).cloned()
    }

    /// A server that a node has named before the others have told of it.
    pub fn add_server(&mut self, address: Address, servers: &Servers) -> Arc<Server> {
        let server = self.servers.entry(address);
        let server = server.or_insert_with_key(|address| servers.at(address.clone()));
        server.clone()
    }

    /// The servers to be asked who serves what: all that the nodes do not know to be dead.
    pub fn to_ask(&self) -> Vec<Arc<Server>> {
        let nodes = self.view.nodes().filter(|node| !node.has_failed);
        let servers = nodes.filter_map(|node| self.server(&node.address));
        servers.collect()
    }

    /// True when each slot has a primary that is not known to be dead.
    pub fn is_whole(&self) -> bool {
        (0..SLOTS).all(|slot| self.view.owner(slot).is_some_and(|node| !node.has_failed))
    }

    /// Gives a slot to the shard whose primary is at `address`, if it is known to be one.
    pub fn correct(&mut self, slot: u16, address: &Address) -> bool {
        let owners = self.view.owners();
        let owner = owners.iter().find(|node| node.address == *address);
        let shard = owner.and_then(|node| self.shards.get(&node.id));
        let Some(shard) = shard.cloned() else {
            return false;
        };
        self.hand_over(slot, Some(shard));
        true
    }

    /// Takes over what the nodes say now. A promoted replica takes its primary's place in the same
    /// shard, whose counts are to be compared then.
    pub fn renew(&mut self, answers: &[Vec<Node>], servers: &Servers) {
        let view = View::merged(&self.view, answers);
        self.keep_servers(&view, servers);
        let mut shards: BTreeMap<Id, Arc<Shard>> = BTreeMap::new();
        for node in view.owners() {
            let shard = self.succeed(&view, node);
            let primary = self.server(&node.address);
            shard.follow(primary);
            shards.insert(node.id.clone(), shard);
        }
        for slot in 0..SLOTS {
            let shard = view.owner(slot).and_then(|node| shards.get(&node.id));
            self.hand_over(slot, shard.cloned());
        }
        self.shards = shards;
        self.view = view;
    }

    fn succeed(&self, view: &View, node: &Node) -> Arc<Shard> {
        let new = || Arc::new(Shard::new(None, &self.guard));
        let kept = |id: &Id| self.shards.get(id).cloned().unwrap_or_else(new);
        match view.succession(&self.view, &node.id) {
            Succession::Moved => kept(&node.id),
            Succession::Promoted(instead_of) => {
                let shard = instead_of.as_ref().map_or_else(new, kept);
                shard.standing().note_promotion();
                shard
            }
        }
    }

    /// Where counts were in doubt they still are at whoever has them now.
    fn hand_over(&mut self, slot: u16, to: Option<Arc<Shard>>) {
        let Some(owner) = self.by_slot.get_mut(usize::from(slot)) else {
            return;
        };
        let is_same = match (owner.as_ref(), to.as_ref()) {
            (Some(from), Some(to)) => Arc::ptr_eq(from, to),
            (from, to) => from.is_none() && to.is_none(),
        };
        if is_same {
            return;
        }
        if let (Some(from), Some(to)) = (owner.as_ref(), to.as_ref())
            && !from.standing().sells()
            && to.standing().sells()
        {
            to.standing().note_promotion();
        }
        *owner = to;
    }

    /// One for each node, and the connections of those that stay.
    fn keep_servers(&mut self, view: &View, servers: &Servers) {
        let mut known = std::mem::take(&mut self.servers);
        for node in view.nodes() {
            let address = node.address.clone();
            let server = known.remove(&address);
            let server = server.unwrap_or_else(|| servers.at(address.clone()));
            self.servers.insert(address, server);
        }
    }
}
