//! A proxy: the sagas that it runs, and what it does besides.

pub mod committer;
mod gate;
mod money;
pub mod reconciler;
pub mod recovery;
pub mod relay;
mod reserving;
pub mod saga;
mod truth;

use std::hash::{Hash, Hasher};

use reconciler::Look;
use saga::Saga;

use crate::action::Batch;
use crate::alike::hash_in_any_order;
use crate::servers::mysql::Event;

/// One process, with what it would lose by dying.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// What it runs.
    pub sagas: Vec<Saga>,
    /// Sagas that wait for their order to be recorded, and for it to be confirmed.
    queues: [Vec<u64>; 2],
    /// It stands still.
    pub is_paused: bool,
    /// Rows that it has read from the outbox and has still to send.
    pub to_send: Vec<Event>,
    /// Rows that Kafka has taken from it.
    pub sent: Vec<Event>,
    /// What its reconciler is looking at.
    pub look: Option<Look>,
}

impl Proxy {
    /// Sagas that wait for such a batch, by their numbers, the oldest first.
    pub fn queue(&self, batch: Batch) -> &Vec<u64> {
        &self.queues[batch as usize]
    }

    /// The same, to be changed.
    pub fn queue_mut(&mut self, batch: Batch) -> &mut Vec<u64> {
        &mut self.queues[batch as usize]
    }
}

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_in_any_order(&self.sagas, state);
        (
            &self.queues,
            self.is_paused,
            &self.to_send,
            &self.sent,
            &self.look,
        )
            .hash(state);
    }
}
