//! The stock commands.

pub(super) mod adjust;
pub(super) mod apply;
pub(super) mod confirm;
pub(super) mod extend;
pub(super) mod get;
pub(super) mod hold;
pub(super) mod mreserve;
pub(super) mod pending;
pub(super) mod prepare;
pub(super) mod release;
pub(super) mod reserve;
pub(super) mod restore;
pub(super) mod set;
