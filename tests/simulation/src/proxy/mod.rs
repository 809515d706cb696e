//! A proxy: the sagas that it runs, and what it does besides.

pub mod reconciler;
pub mod recovery;
pub mod relay;
pub mod saga;

use std::hash::{Hash, Hasher};

use reconciler::Look;
use saga::Saga;

use crate::alike::hash_in_any_order;
use crate::servers::mysql::Event;

/// One process, with what it would lose by dying.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// What it runs.
    pub sagas: Vec<Saga>,
    /// It stands still.
    pub is_paused: bool,
    /// Rows that it has read from the outbox and has still to send.
    pub to_send: Vec<Event>,
    /// Rows that Kafka has taken from it.
    pub sent: Vec<Event>,
    /// What its reconciler is looking at.
    pub look: Option<Look>,
}

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_in_any_order(&self.sagas, state);
        (self.is_paused, &self.to_send, &self.sent, &self.look).hash(state);
    }
}
