//! What happened, told to the world: written to the outbox in the transaction that made it
//! true, and relayed to Kafka from there.

pub mod kafka;
pub mod refusals;
pub mod relay;
mod types;

pub use types::{Event, EventType, stock_event};
