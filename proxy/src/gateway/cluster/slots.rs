//! Who serves which slot, from what several nodes say (`CLUSTER NODES`), and who took whose place.
//!
//! Nodes may differ while news travel, and one that was cut off believes what is long over. Of two
//! claims to a slot the one of the higher config epoch holds, as it does among the nodes
//! themselves; so it does no harm to ask a node that is behind, as long as one is asked that is not.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::config::Address;
use crate::gateway::keys::SLOTS;

/// The name that a node has for ever.
pub(super) type Id = Arc<str>;

/// A node, as one of them describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub id: Id,
    pub address: Address,
    /// True for a primary, with or without slots.
    pub is_primary: bool,
    /// True when the nodes have agreed that it is dead.
    pub has_failed: bool,
    /// The config epoch: of two claims to a slot the higher one holds. A replica has its primary's.
    epoch: u64,
    /// True when it describes itself.
    is_itself: bool,
    slots: Vec<RangeInclusive<u16>>,
}

/// An answer to `CLUSTER NODES` that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no line of CLUSTER NODES")]
pub(super) struct Unreadable(String);

/// What the cluster looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    nodes: BTreeMap<Id, Node>,
    /// By slot.
    owners: Vec<Option<Id>>,
}

/// How a node came by its slots since the view before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Succession {
    /// It was a primary before, or it is new and was given them: nothing was lost.
    Moved,
    /// It was a replica, so it may lack the last writes. It has taken the place of that primary,
    /// unless that one still has slots.
    Promoted(Option<Id>),
}

/// Reads the answer of the node at `asked`. Nodes that are not known well enough to be reached are
/// left out.
pub(super) fn read(answer: &str, asked: &Address) -> Result<Vec<Node>, Unreadable> {
    let unreadable = |line: &str| Unreadable(line.chars().take(200).collect());
    let nodes = answer.lines().filter(|line| !line.is_empty());
    let nodes = nodes.map(|line| node(line, asked).ok_or_else(|| unreadable(line)));
    nodes.filter_map(Result::transpose).collect()
}

impl View {
    /// What several nodes say together, and what was known `before` of those that they name, so that
    /// nothing is unlearned when only nodes answer that are behind.
    pub fn merged(before: &View, answers: &[Vec<Node>]) -> Self {
        let mut nodes: BTreeMap<Id, Node> = BTreeMap::new();
        // A node knows best what it has itself, unless it is behind.
        let rank = |node: &Node| (node.epoch, node.is_itself);
        let known_before = before.nodes.values().cloned();
        let known_before: Vec<Node> = known_before
            .filter(|known| answers.iter().flatten().any(|node| node.id == known.id))
            .map(|known| Node {
                is_itself: false,
                has_failed: false,
                ..known
            })
            .collect();
        for node in answers.iter().flatten().chain(&known_before) {
            match nodes.get_mut(&node.id) {
                Some(known) if rank(known) >= rank(node) => {}
                _ => {
                    nodes.insert(node.id.clone(), node.clone());
                }
            }
        }
        for node in answers.iter().flatten().filter(|node| node.has_failed) {
            if let Some(known) = nodes.get_mut(&node.id) {
                known.has_failed |= known.epoch == node.epoch && !known.is_itself;
            }
        }
        let mut claims: Vec<Option<(u64, &Id)>> = vec![None; SLOTS.into()];
        for node in nodes.values().filter(|node| node.is_primary) {
            for slot in node.slots.iter().cloned().flatten() {
                let claim = Some((node.epoch, &node.id));
                if let Some(highest) = claims.get_mut(usize::from(slot)) {
                    *highest = (*highest).max(claim);
                }
            }
        }
        let owners = claims
            .into_iter()
            .map(|claim| claim.map(|(_, id)| id.clone()));
        let owners = owners.collect();
        Self { nodes, owners }
    }

    /// The node that serves a slot.
    pub fn owner(&self, slot: u16) -> Option<&Node> {
        let id = self.owners.get(usize::from(slot))?.as_ref()?;
        self.nodes.get(id)
    }

    /// All nodes, dead ones too.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The nodes that serve slots, each with its first one.
    pub fn owners(&self) -> Vec<&Node> {
        let mut owners: Vec<&Id> = self.owners.iter().flatten().collect();
        owners.sort_unstable();
        owners.dedup();
        owners
            .into_iter()
            .filter_map(|id| self.nodes.get(id))
            .collect()
    }

    /// How a node that serves slots in this view came by them since `before`.
    pub fn succession(&self, before: &View, id: &Id) -> Succession {
        let known = before.nodes.get(id);
        // Nearly all are, at each look, and need no counting of slots.
        if known.is_some_and(|known| known.is_primary) {
            return Succession::Moved;
        }
        let predecessor = self.predecessor(before, id);
        let was_left = predecessor.is_some_and(|id| self.nodes.get(id).is_none_or(is_gone));
        match known {
            // Who was never seen as a replica may have been one for a moment only.
            None if !was_left => Succession::Moved,
            _ => {
                let owns = |id: &&Id| self.owners.iter().flatten().any(|owner| owner == *id);
                Succession::Promoted(predecessor.filter(|id| !owns(id)).cloned())
            }
        }
    }

    /// Who served most of the slots that `id` serves now.
    fn predecessor<'a>(&self, before: &'a View, id: &Id) -> Option<&'a Id> {
        let mut served: HashMap<&Id, usize> = HashMap::new();
        for (owner, owner_before) in self.owners.iter().zip(&before.owners) {
            if let (true, Some(owner_before)) = (owner.as_ref() == Some(id), owner_before) {
                *served.entry(owner_before).or_default() += 1;
            }
        }
        served.remove(id);
        let most = served.into_iter().max_by_key(|(id, slots)| (*slots, *id));
        most.map(|(id, _)| id)
    }
}

fn is_gone(node: &Node) -> bool {
    node.has_failed || !node.is_primary
}

/// `<id> <host:port@bus[,hostname…]> <flags> <primary> <ping> <pong> <epoch> <link> <slot> …`; none
/// inside for a node that cannot be reached yet, none at all for what is no such line.
fn node(line: &str, asked: &Address) -> Option<Option<Node>> {
    let mut words = line.split(' ');
    let (id, endpoint, flags) = (words.next()?, words.next()?, words.next()?);
    let (_primary, _ping, _pong) = (words.next()?, words.next()?, words.next()?);
    let epoch = words.next()?.parse().ok()?;
    let _link = words.next()?;
    // What stands in brackets is on its way and has not changed hands.
    let slots = words.filter(|word| !word.starts_with('['));
    let slots = slots.map(range).collect::<Option<Vec<_>>>()?;
    let has = |flag: &str| flags.split(',').any(|of_node| of_node == flag);
    if has("handshake") || has("noaddr") {
        return Some(None);
    }
    let host_and_port = endpoint.split(['@', ',']).next()?;
    Some(Some(Node {
        id: id.into(),
        address: address(host_and_port, asked)?,
        is_primary: has("master"),
        has_failed: has("fail"),
        epoch,
        is_itself: has("myself"),
        slots,
    }))
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < SLOTS).then_some(first..=last)
}

/// `host:port`, where a node that does not know its own host is the one that was `asked`.
fn address(text: &str, asked: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host {
        "" | "?" => &asked.host,
        host => host,
    };
    Some(Address {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok().filter(|port| *port != 0)?,
    })
}
