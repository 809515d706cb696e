//! How changes go to the replicas and to the AOF: as what happened, never as what was asked.
//!
//! `INV.APPLY key seq effect…` and `SESSION.APPLY key effect…` carry one effect each, with absolute times. `seq` is the
//! ledger's after the effect, so that a side that has missed one refuses the next. `INV.RESTORE key record…` is what a
//! rewritten AOF is made of.

use std::ffi::CStr;

use crate::ffi::{Arg, Context};

pub(crate) const APPLY_STOCK: &CStr = c"INV.APPLY";
pub(crate) const RESTORE_STOCK: &CStr = c"INV.RESTORE";
pub(crate) const APPLY_SESSION: &CStr = c"SESSION.APPLY";

/// Sends an effect on stock.
pub(crate) fn stock(context: &Context, key: &Arg<'_>, seq: u64, effect: &holdfast_stock::Effect) {
    let (seq, effect) = (seq.to_string(), effect.to_args());
    let head = [key.bytes(), seq.as_bytes()];
    context.replicate(
        APPLY_STOCK,
        head.into_iter().chain(effect.iter().map(Vec::as_slice)),
    );
}

/// Sends an effect on a session.
pub(crate) fn session(context: &Context, key: &Arg<'_>, effect: &holdfast_session::Effect) {
    let effect = effect.to_args();
    context.replicate(
        APPLY_SESSION,
        std::iter::once(key.bytes()).chain(effect.iter().map(Vec::as_slice)),
    );
}
