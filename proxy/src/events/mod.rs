//! What happened, told to the world: written to the outbox in the transaction that made it
//! true, and relayed to Kafka from there.

mod backlog;
pub mod kafka;
pub mod refusals;
pub mod relay;
mod types;

pub use types::{Event, EventType, stock_event};
