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

    /// True when some slot is the shard's.
    pub fn has_slots(&self, shard: &Arc<Shard>) -> bool {
        let mut owners = self.by_slot.iter().flatten();
        owners.any(|owner| Arc::ptr_eq(owner, shard))
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
        // While a slot moves everybody comes here with each call, so not all slots are looked at.
        let there = self.view.nodes().filter(|node| node.address == *address);
        let Some(shard) = there.filter_map(|node| self.shards.get(&node.id)).next() else {
            return false;
        };
        let shard = shard.clone();
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
        for gone in std::mem::replace(&mut self.shards, shards).into_values() {
            // Whoever listens there would hear nothing for as long as that server runs on.
            if !self.shards.values().any(|kept| Arc::ptr_eq(kept, &gone)) {
                gone.follow(None);
            }
        }
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

    /// Where counts were in doubt they still are at whoever has them now: in doubt anew, since that
    /// one may be comparing its counts already, and past these.
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
        {
            to.standing().note_promotion();
        }
        *owner = to;
    }

    /// One for each node, and the connections of those that stay.
    fn keep_servers(&mut self, view: &View, servers: &Servers) {
        let mut known = std::mem::take(&mut self.servers);
        for node in view.nodes() {
            // One that was set up anew where another was is there under both names for a while.
            let server = self.servers.entry(node.address.clone());
            server.or_insert_with_key(|address| {
                let server = known.remove(address);
                server.unwrap_or_else(|| servers.at(address.clone()))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::slots::read;
    use super::*;
    use crate::config::{self, Credentials, WithoutRedis};
    use crate::gateway::access::Access;
    use crate::telemetry::Metrics;

    /// A table that is told lines of `CLUSTER NODES`.
    struct Told {
        table: Table,
        servers: Servers,
    }

    impl Told {
        fn new() -> Self {
            let config = config::Redis::default();
            let guard = Guard::new(&config, WithoutRedis::Refuse, &Metrics::new());
            let servers = Servers {
                access: Arc::new(Access::new(&Credentials::default(), 0, None)),
                config: Arc::new(config),
                trouble: Arc::default(),
            };
            Self {
                table: Table::new(guard),
                servers,
            }
        }

        fn hear(&mut self, lines: &[&str]) {
            let nodes = read(&lines.join("\n"), &address(7001)).expect("nodes");
            self.table.renew(&[nodes], &self.servers);
        }

        fn shard(&self, slot: u16) -> Arc<Shard> {
            self.table.shard_of(slot).cloned().expect("a shard")
        }
    }

    fn address(port: u16) -> Address {
        let host = "127.0.0.1".into();
        Address { host, port }
    }

    const LOW: &str = "a 127.0.0.1:7001@1 master - 0 0 1 connected 0-8191";
    const HIGH: &str = "b 127.0.0.1:7002@1 master - 0 0 2 connected 8192-16383";

    #[tokio::test]
    async fn who_listens_at_a_server_that_has_no_slots_any_more_is_told() {
        let mut told = Told::new();
        told.hear(&[LOW, HIGH]);
        let high = told.shard(16_383);
        let primary = high.primary().expect("a primary");
        let listening = tokio::spawn(high.leaves(primary));
        told.hear(&[LOW, HIGH]);
        assert!(!listening.is_finished() && told.table.has_slots(&told.shard(16_383)));
        told.hear(&[
            "a 127.0.0.1:7001@1 master - 0 0 3 connected 0-16383",
            "b 127.0.0.1:7002@1 master - 0 0 2 connected",
        ]);
        let heard = tokio::time::timeout(Duration::from_secs(5), listening).await;
        heard.expect("it is told").expect("no panic");
        assert!(told.shard(0).primary().is_some());
    }

    #[tokio::test]
    async fn counts_in_doubt_stay_so_with_a_slot_that_moves_to_who_compares_its_own_already() {
        let mut told = Told::new();
        told.hear(&[LOW, HIGH]);
        let (low, high) = (told.shard(0), told.shard(16_383));
        low.standing().note_promotion();
        high.standing().note_promotion();
        let comparing = high.standing().doubts();
        assert!(told.table.correct(0, &address(7002)));
        high.standing().note_compared(comparing);
        assert!(!high.standing().sells(), "the slot was never compared");
        // What is sound makes no doubts where it goes.
        for standing in [low.standing(), high.standing()] {
            standing.note_compared(standing.doubts());
        }
        assert!(told.table.correct(1, &address(7002)));
        assert!(low.standing().sells() && high.standing().sells());
        assert!(!told.table.correct(1, &address(7003)));
    }

    #[tokio::test]
    async fn a_connection_outlives_two_names_of_one_server() {
        let mut told = Told::new();
        let before = "c 127.0.0.1:7002@1 slave,fail a 0 0 1 disconnected";
        told.hear(&[LOW, before, HIGH]);
        let primary = told.shard(16_383).primary().expect("a primary");
        told.hear(&[LOW, before, HIGH]);
        let still = told.shard(16_383).primary().expect("a primary");
        assert!(Arc::ptr_eq(&primary, &still));
    }
}
