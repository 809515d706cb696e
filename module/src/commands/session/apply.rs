//! `SESSION.APPLY key effect…`, by which replicas and the AOF follow a primary. It decides nothing, but checks
//! everything.

use std::ops::Deref;

use holdfast_session::{Effect, Record};

use super::change_only;
use crate::args::Bytes;
use crate::commands::syntax::{KEY, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "session.apply",
    group: Group::Internal,
    flags: WRITE,
    keys: Keys::First(Access::Insert),
    arguments: &[KEY, text("effect"), text("value").multiple()],
    complexity: "O(f) in its fields",
    summary: "Internal: applies an effect that a primary has decided.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Effect), Failure> {
    let [_, key, effect @ ..] = args else {
        return Err(Failure::Arity);
    };
    let effect: Vec<_> = effect.iter().map(Deref::deref).collect();
    let effect = Effect::from_args(&effect)
        .map_err(|error| Failure::error(format!("this is no effect: {error}")))?;
    Ok((key, effect))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, effect) = parse(args)?;
    context.open(key).value::<Record>()?;
    change_only(context, key, &effect)?;
    context.replicate_verbatim();
    Ok(Reply::Word("OK"))
}
