//! What the fuzzers check, one function a target: it panics when the input uncovers a bug.
//!
//! `fuzz_targets` holds the programs that libFuzzer drives, `run` builds and runs them, `corpus` and `regressions`
//! keep inputs by target, and `tests/kept.rs` runs the checks on those without libFuzzer.

#[cfg(feature = "engine")]
pub mod arguments;
pub mod control;
pub mod pieces;
pub mod seeds;
mod session;
mod stock;

pub use session::{codec as session_codec, commands as session_commands, text as session_text};
pub use stock::{codec as stock_codec, commands as stock_commands, text as stock_text};

/// What a check says of an input that uncovers no bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was, at least in part, what the code under test takes.
    Accepted,
    /// All of it was refused.
    Refused,
}

impl Verdict {
    fn accepted_if(accepted: bool) -> Self {
        if accepted {
            Self::Accepted
        } else {
            Self::Refused
        }
    }
}

/// The check of one target.
pub type Check = fn(&[u8]) -> Verdict;

/// Every target by its name, but for `arguments`, which needs an allocator of its own, and [`control`], which has a bug.
pub const TARGETS: [(&str, Check); 6] = [
    ("stock_codec", stock_codec::check),
    ("stock_text", stock_text::check),
    ("stock_commands", stock_commands::check),
    ("session_codec", session_codec::check),
    ("session_text", session_text::check),
    ("session_commands", session_commands::check),
];
