//! `libholdfast.so`: the `INV.*` and `SESSION.*` commands for Redis and Valkey.
//!
//! The shell around the two pure crates: it parses arguments, opens keys, asks the ledger or the session what a
//! command comes to, applies and replicates the effects, and replies. What is registered with the server is the
//! table in `commands`, the two types in `datatype`, and the timer and the events of `expiry`.
//!
//! All unsafe code is in `ffi`; the rest cannot reach the server but through it.

mod args;
mod commands;
mod config;
mod datatype;
mod events;
mod expiry;
mod ffi;
mod info;
mod notifications;
mod replicate;
mod reply;
mod schedule;
mod statistics;
mod updates;

/// Reads the arguments of a command, its name first, as the server would have it done, and says what is wrong with them.
/// It is for fuzzers, which have no server.
#[doc(hidden)]
pub fn parse(args: &[&[u8]]) -> Result<(), String> {
    commands::parse(args).map_err(|failure| failure.to_string())
}
