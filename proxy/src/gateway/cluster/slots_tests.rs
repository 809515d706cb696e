use std::collections::BTreeSet;

use proptest::prelude::*;

use super::slots::{Node, Succession, View, read};
use crate::config::Address;

/// The slots are handed about in so many blocks.
const BLOCKS: u16 = 16;
const BLOCK: u16 = 16_384 / BLOCKS;

/// A cluster as it really is: node by node, whose replica it is, its config epoch and its blocks.
#[derive(Debug, Clone)]
struct Truth {
    nodes: Vec<Member>,
    epoch: u64,
}

#[derive(Debug, Clone)]
struct Member {
    replicates: Option<usize>,
    epoch: u64,
    blocks: BTreeSet<u16>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A block goes to another primary, which may be without any.
    Move { block: u16, to: usize },
    /// A replica takes the place of its primary, which becomes its replica.
    Promote { replica: usize },
    /// A primary without slots comes in.
    Add,
}

impl Truth {
    /// Three primaries, with a replica each.
    fn new() -> Self {
        let member = |number: usize| Member {
            replicates: (number >= 3).then(|| number - 3),
            epoch: number as u64 % 3 + 1,
            blocks: (0..BLOCKS)
                .filter(|block| usize::from(*block) % 3 == number)
                .collect(),
        };
        Self {
            nodes: (0..6).map(member).collect(),
            epoch: 3,
        }
    }

    fn epoch(&self, node: usize) -> u64 {
        let of = self.nodes[node].replicates.unwrap_or(node);
        self.nodes[of].epoch
    }

    fn owner(&self, block: u16) -> usize {
        let owns = |node: &Member| node.blocks.contains(&block);
        self.nodes.iter().position(owns).expect("an owner")
    }

    /// False when nothing changes hands.
    fn apply(&mut self, event: Event) -> bool {
        match event {
            Event::Move { block, to } => {
                let (from, to) = (self.owner(block), to % self.nodes.len());
                if from == to || self.nodes[to].replicates.is_some() {
                    return false;
                }
                self.nodes[from].blocks.remove(&block);
                self.nodes[to].blocks.insert(block);
                self.epoch += 1;
                self.nodes[to].epoch = self.epoch;
            }
            Event::Promote { replica } => {
                let replica = replica % self.nodes.len();
                let Some(primary) = self.nodes[replica].replicates else {
                    return false;
                };
                let blocks = std::mem::take(&mut self.nodes[primary].blocks);
                if blocks.is_empty() {
                    return false;
                }
                self.epoch += 1;
                for node in &mut self.nodes {
                    if node.replicates == Some(primary) {
                        node.replicates = Some(replica);
                    }
                }
                self.nodes[primary].replicates = Some(replica);
                self.nodes[replica] = Member {
                    replicates: None,
                    epoch: self.epoch,
                    blocks,
                };
            }
            Event::Add => {
                self.nodes.push(Member {
                    replicates: None,
                    epoch: 0,
                    blocks: BTreeSet::new(),
                });
            }
        }
        true
    }

    /// What a node answers that knows this.
    fn told_by(&self, reporter: usize) -> Vec<Node> {
        let lines: Vec<String> = (0..self.nodes.len())
            .map(|number| {
                let node = &self.nodes[number];
                let (role, primary) = match node.replicates {
                    Some(primary) => ("slave", id(primary)),
                    None => ("master", "-".to_owned()),
                };
                let (flags, port) = match number == reporter {
                    true => (format!("myself,{role}"), 7000 + number),
                    false => (role.to_owned(), 7000 + number),
                };
                let ranges: String = node
                    .blocks
                    .iter()
                    .map(|block| format!(" {}-{}", block * BLOCK, block * BLOCK + BLOCK - 1))
                    .collect();
                let epoch = self.epoch(number);
                format!(
                    "{} 127.0.0.1:{port}@1{port} {flags} {primary} 0 0 {epoch} connected{ranges}",
                    id(number)
                )
            })
            .collect();
        read(&lines.join("\n"), &asked()).expect("an answer")
    }

    fn view(&self) -> View {
        View::merged(
            &View::default(),
            &[self.told_by(0), self.told_by(self.nodes.len() - 1)],
        )
    }

    fn owners(&self) -> Vec<String> {
        (0..BLOCKS).map(|block| id(self.owner(block))).collect()
    }
}

fn owners(view: &View) -> Vec<String> {
    let owner = |block| {
        view.owner(block * BLOCK + 7)
            .map(|node| node.id.to_string())
    };
    (0..BLOCKS)
        .map(|block| owner(block).unwrap_or_default())
        .collect()
}

fn id(number: usize) -> String {
    format!("{number:040x}")
}

fn asked() -> Address {
    Address {
        host: "127.0.0.1".into(),
        port: 7000,
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..BLOCKS, 0..9_usize).prop_map(|(block, to)| Event::Move { block, to }),
        2 => (0..9_usize).prop_map(|replica| Event::Promote { replica }),
        1 => Just(Event::Add),
    ]
}

#[test]
fn lines_are_read_as_the_servers_write_them() {
    let answer = "\
07c37dfeb2 127.0.0.1:30004@31004,node-4 slave e7d1eecce1 0 1426238317239 4 connected
67ed2db8d6 :30002@31002,,tls-port=0,shard-id=ab myself,master - 0 0 2 connected 5461-10922 [93-<-e7d1eecce1]
e7d1eecce1 [::1]:30001@31001 master,fail - 0 0 1 disconnected 0-5459 5460
6ec2392 127.0.0.1:30003@31003 handshake - 0 0 0 disconnected
5ec2392 :0@0 slave,noaddr 67ed2db8d6 0 0 0 disconnected
";
    let nodes = read(answer, &asked()).expect("an answer");
    let shown = |node: &Node| {
        let Address { host, port } = node.address.clone();
        (
            node.id.to_string(),
            host,
            port,
            node.is_primary,
            node.has_failed,
        )
    };
    let shown: Vec<_> = nodes.iter().map(shown).collect();
    let expected = [
        ("07c37dfeb2", "127.0.0.1", 30_004, false, false),
        ("67ed2db8d6", "127.0.0.1", 30_002, true, false),
        ("e7d1eecce1", "::1", 30_001, true, true),
    ];
    let expected = expected
        .map(|(id, host, port, primary, failed)| (id.into(), host.into(), port, primary, failed));
    assert_eq!(shown, expected);
    let view = View::merged(&View::default(), &[nodes]);
    let owner = |slot| view.owner(slot).map(|node| &*node.id);
    assert_eq!(owner(5_460), Some("e7d1eecce1"));
    assert_eq!(owner(5_461), Some("67ed2db8d6"));
    assert_eq!((owner(93), owner(10_923)), (Some("e7d1eecce1"), None));
}

#[test]
fn what_is_no_answer_is_refused() {
    for line in [
        "ERR unknown command",
        "a 127.0.0.1:1@1 master - 0 0 one connected",
        "a 127.0.0.1:1@1 master - 0 0 1 connected 0-16384",
        "a 127.0.0.1:1@1 master - 0 0 1 connected 9-3",
        "a 127.0.0.1@1 master - 0 0 1 connected",
        "a 127.0.0.1:1@1 master - 0 0 1",
    ] {
        assert!(read(line, &asked()).is_err(), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever is behind is not believed, in whatever order the answers come.
    #[test]
    fn one_who_knows_is_enough(
        events in prop::collection::vec(event(), 0..12),
        behind in prop::collection::vec((0..6_usize, 0..13_usize), 0..6),
        knows in 0..6_usize,
        place in 0..7_usize,
        known_before in 0..13_usize,
    ) {
        let mut history = vec![Truth::new()];
        for event in events {
            let mut next = history[history.len() - 1].clone();
            next.apply(event);
            history.push(next);
        }
        let truth = &history[history.len() - 1];
        let mut answers: Vec<_> = behind
            .iter()
            .filter(|(reporter, _)| *reporter != knows)
            .map(|(reporter, at)| history[(*at).min(history.len() - 1)].told_by(*reporter))
            .collect();
        answers.insert(place.min(answers.len()), truth.told_by(knows));
        let before = history[known_before.min(history.len() - 1)].view();
        let view = View::merged(&before, &answers);
        prop_assert_eq!(owners(&view), truth.owners());
        for node in view.owners() {
            prop_assert!(node.is_primary);
        }
    }

    /// Not even when nobody else answers.
    #[test]
    fn what_is_known_is_not_unlearned(
        events in prop::collection::vec(event(), 1..12),
        behind in (0..6_usize, 0..13_usize),
    ) {
        let mut history = vec![Truth::new()];
        for event in events.into_iter().filter(|event| !matches!(event, Event::Add)) {
            let mut next = history[history.len() - 1].clone();
            next.apply(event);
            history.push(next);
        }
        let truth = &history[history.len() - 1];
        let stale = history[behind.1.min(history.len() - 1)].told_by(behind.0);
        let view = View::merged(&truth.view(), &[stale]);
        prop_assert_eq!(owners(&view), truth.owners());
    }

    /// Between two views one thing happens: who moves slots loses nothing, who is promoted does.
    #[test]
    fn a_promotion_is_told_from_a_move(events in prop::collection::vec(event(), 1..20)) {
        let mut truth = Truth::new();
        for event in events {
            let (before, owner_of) = (truth.view(), truth.clone());
            truth.apply(event);
            let after = truth.view();
            for node in after.owners() {
                let number = usize::from_str_radix(&node.id, 16).expect("a number");
                let was = owner_of.nodes.get(number).and_then(|node| node.replicates);
                let expected = match was {
                    Some(primary) => Succession::Promoted(Some(id(primary).into())),
                    None => Succession::Moved,
                };
                prop_assert_eq!(after.succession(&before, &node.id), expected);
            }
        }
    }
}

#[test]
fn who_was_never_seen_before_and_has_the_slots_of_a_dead_primary_was_a_replica() {
    let mut truth = Truth::new();
    truth.nodes.truncate(3);
    let before = truth.view();
    truth.nodes.push(Member {
        replicates: Some(0),
        epoch: 0,
        blocks: BTreeSet::new(),
    });
    truth.apply(Event::Promote { replica: 3 });
    let after = truth.view();
    let succession = after.succession(&before, &id(3).as_str().into());
    assert_eq!(
        succession,
        Succession::Promoted(Some(id(0).as_str().into()))
    );
}

#[test]
fn a_primary_that_gave_all_its_slots_away_has_lost_nothing() {
    let mut truth = Truth::new();
    let before = truth.view();
    for block in truth.nodes[0].blocks.clone() {
        truth.apply(Event::Move { block, to: 1 });
    }
    // With cluster-allow-replica-migration it becomes a replica of who took the last.
    truth.nodes[0].replicates = Some(1);
    let after = truth.view();
    for node in after.owners() {
        assert_eq!(after.succession(&before, &node.id), Succession::Moved);
    }
}
