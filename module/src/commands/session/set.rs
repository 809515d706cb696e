//! `SESSION.SET key field value [field value ...]`

use holdfast_session::Record;

use super::change;
use crate::args::{self, Bytes};
use crate::commands::syntax::{KEY, block, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, TAKE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "session.set",
    group: Group::Session,
    flags: TAKE,
    keys: Keys::First(Access::Update),
    arguments: &[
        KEY,
        block("fields", &[text("field"), text("value")]).multiple(),
    ],
    complexity: "O(f) in its fields",
    summary: "Sets fields of a session.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// The key, and names with their values.
type Asked<'a, A> = (&'a A, Vec<(&'a [u8], &'a [u8])>);

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Asked<'_, A>, Failure> {
    let [_, key, pairs @ ..] = args else {
        return Err(Failure::Arity);
    };
    let pairs = args::pairs(pairs).ok_or(Failure::Arity)?;
    Ok((key, pairs))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, pairs) = parse(args)?;
    let now_ms = context.now_ms();
    let effect = match context
        .open(key)
        .value::<Record>()?
        .filter(|record| record.left(now_ms).is_ok())
    {
        Some(record) => record.set(&pairs)?,
        None => return Ok(Reply::Integer(0)),
    };
    if let Some(effect) = effect {
        change(context, key, &effect)?;
    }
    Ok(Reply::number(pairs.len() as u64))
}
