//! `INV.APPLY key seq effect…`, by which replicas and the AOF follow a primary. It decides nothing, but checks
//! everything: whoever is allowed to use it cannot make a ledger that contradicts itself.

use std::ops::Deref;

use holdfast_stock::{Effect, Ledger};

use crate::args::{self, Bytes, MAX_NUMBER};
use crate::commands::stock;
use crate::commands::syntax::{KEY, integer, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.apply",
    group: Group::Internal,
    flags: WRITE,
    keys: Keys::First(Access::Insert),
    arguments: &[
        KEY,
        integer("seq"),
        text("effect"),
        text("value").multiple(),
    ],
    complexity: "O(log n) in the key's holds, for each change",
    summary: "Internal: applies an effect that a primary has decided.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// An effect, and the `seq` that it takes the ledger to.
pub(crate) struct Apply<'a, A> {
    key: &'a A,
    seq: u64,
    effect: Effect,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Apply<'_, A>, Failure> {
    let [_, key, seq, effect @ ..] = args else {
        return Err(Failure::Arity);
    };
    let seq = args::number(seq, "seq", 1, MAX_NUMBER)?;
    let effect: Vec<_> = effect.iter().map(Deref::deref).collect();
    let effect = Effect::from_args(&effect)
        .map_err(|error| Failure::error(format!("this is no effect: {error}")))?;
    Ok(Apply { key, seq, effect })
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let Apply { key, seq, effect } = parse(args)?;
    let present = context.open(key).value::<Ledger>()?.map_or(0, Ledger::seq);
    if present.checked_add(effect.changes()) != Some(seq) {
        let key = quoted(key);
        let gap = format!(
            "the ledger at {key} is at seq {present}, so this effect cannot take it to {seq}"
        );
        context.warn(&format!(
            "holdfast: {gap}; this node has missed a change and must be synchronized anew"
        ));
        return Err(Failure::error(gap));
    }
    stock::change_only(context, key, &[effect], |_, _| {})?;
    context.replicate_verbatim();
    Ok(Reply::Word("OK"))
}
