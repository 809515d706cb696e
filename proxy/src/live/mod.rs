//! Live stock: whoever watches a SKU is told of every change, as soon as the gate tells of it.
//!
//! However many watch a SKU, it is subscribed to once and read once for a change. `event.rs` decides
//! what a watcher is told; `watched.rs` knows who watches what; `follow.rs` listens and reads.

mod event;
mod follow;
mod marks;
pub mod short;
pub mod shown;
mod watched;

pub use event::{Event, Told};
pub use watched::{Live, Refusal, Watcher};
