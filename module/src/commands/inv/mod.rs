//! The stock commands.

pub(super) mod adjust;
pub(super) mod apply;
pub(super) mod confirm;
pub(super) mod extend;
pub(super) mod get;
pub(super) mod help;
pub(super) mod hold;
pub(super) mod holds;
pub(super) mod mreserve;
pub(super) mod pending;
pub(super) mod prepare;
pub(super) mod release;
pub(super) mod reserve;
pub(super) mod restore;
pub(super) mod r#return;
pub(super) mod set;

/// How many holds a list has when nothing is said, and how many at most.
const DEFAULT_COUNT: u64 = 100;
const MAX_COUNT: u64 = 10_000;
