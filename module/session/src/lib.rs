//! The record of one session: who it belongs to, when it ends, what was viewed, how fast it may go on.
//!
//! Everything here is a pure function of state, input and a time that is passed in. What a command does is
//! *decided* against a [`Record`], which changes nothing and may yield an [`Effect`]; an effect is *applied*,
//! which looks at no clock. The primary does both, a replica and an AOF replay only the second.
//!
//! The meaning of every command and state is in section 3 of the design, and in `docs/commands.md`.

mod codec;
mod digest;
mod effect;
pub mod limits;
mod packed;
mod profile;
mod rate;
mod record;
mod rotate;
mod start;
mod symbols;
mod text;
mod timeouts;
mod touch;
mod uuid;
mod viewed;

pub use codec::{DecodeError, ENCODING_VERSION};
pub use digest::Digest;
pub use effect::{Effect, TextError};
pub use profile::{FREE_PREFIX, Misuse};
pub use rate::{Rate, Verdict};
pub use record::Record;
pub use start::{Start, Started};
pub use timeouts::{Left, State};
pub use touch::{Touch, Touched};
