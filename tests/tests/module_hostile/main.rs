//! Whatever a client sends, however well it is made, the server goes on with what it had.
//!
//! A payload for RESTORE carries a CRC that says that nothing happened to it, so an attacker computes it anew: only the
//! module's own checks stand between such a payload and the server's memory.

mod arguments;
mod damage;
#[path = "../module_support/mod.rs"]
mod module_support;
mod payloads;
mod values;
mod watch;
