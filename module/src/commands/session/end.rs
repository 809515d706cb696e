//! `SESSION.END key`

use holdfast_session::Record;

use crate::args::Bytes;
use crate::commands::syntax::KEY;
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};
use crate::statistics;

pub(crate) const ENTRY: Entry = Entry {
    name: "session.end",
    group: Group::Session,
    flags: WRITE,
    keys: Keys::First(Access::Delete),
    arguments: &[KEY],
    complexity: "O(1)",
    summary: "Ends a session.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<&A, Failure> {
    match args {
        [_, key] => Ok(key),
        _ => Err(Failure::Arity),
    }
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let key = parse(args)?;
    let live = match context.open(key).value::<Record>()? {
        Some(record) => record.left(context.now_ms()).is_ok(),
        None => return Ok(Reply::Integer(0)),
    };
    context.open_mut(key)?.delete();
    context.notify(c"session.end", key);
    context.notify_deleted(key);
    // Nothing in it depends on a clock, so it can go out as it came.
    context.replicate_verbatim();
    statistics::SESSIONS_ENDED.add(1);
    Ok(Reply::Integer(live.into()))
}
