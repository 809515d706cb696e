//! `SESSION.VIEWED key [count]`

use holdfast_session::Record;
use holdfast_session::limits::MAX_VIEWED;

use crate::args::{self, Bytes};
use crate::commands::syntax::{KEY, integer};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, READ};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "session.viewed",
    group: Group::Session,
    flags: READ,
    keys: Keys::First(Access::Read),
    arguments: &[KEY, integer("count").optional()],
    complexity: "O(1), there being at most 25",
    summary: "Lists the items viewed last, newest first.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// The key, and how many items at most.
pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, u64), Failure> {
    match args {
        [_, key] => Ok((key, MAX_VIEWED as u64)),
        [_, key, count] => Ok((key, args::number(count, "count", 1, MAX_VIEWED as u64)?)),
        _ => Err(Failure::Arity),
    }
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, count) = parse(args)?;
    let open = context.open(key);
    let now_ms = context.now_ms();
    let live = open
        .value::<Record>()?
        .filter(|record| record.left(now_ms).is_ok());
    let items = live
        .into_iter()
        .flat_map(Record::viewed)
        .take(count as usize);
    Ok(Reply::Array(items.map(Reply::Bulk).collect()))
}
