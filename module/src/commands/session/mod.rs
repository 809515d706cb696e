//! The session commands.

pub(super) mod apply;
pub(super) mod end;
pub(super) mod get;
pub(super) mod help;
pub(super) mod rotate;
pub(super) mod set;
pub(super) mod start;
pub(super) mod touch;
pub(super) mod viewed;

use holdfast_session::{Effect, Record};

use crate::ffi::{Arg, Context};
use crate::reply::{Failure, quoted};
use crate::{notifications, replicate};

/// Applies an effect to the session under the key, and replicates it.
fn change(context: &mut Context, key: &Arg<'_>, effect: &Effect) -> Result<(), Failure> {
    change_only(context, key, effect)?;
    replicate::session(context, key, effect);
    Ok(())
}

/// Applies an effect to the session under the key, and lets the key end when the session does.
fn change_only(context: &mut Context, key: &Arg<'_>, effect: &Effect) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        let key = quoted(key);
        Failure::error(format!("the effect was refused on {key}: {error}"))
    };
    let mut open = context.open_mut(key)?;
    let mut present = open.value::<Record>()?;
    let put = effect
        .apply(present.as_deref_mut())
        .map_err(|error| refused(&error))?;
    let ends_ms = put.as_ref().or(present.as_deref()).map(Record::ends_ms);
    if let Some(record) = put {
        open.put(record);
    }
    if let Some(ends_ms) = ends_ms {
        open.expire_at(ends_ms);
    }
    drop(open);
    context.notify(notifications::session_event(effect), key);
    Ok(())
}
