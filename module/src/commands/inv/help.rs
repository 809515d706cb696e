//! `INV.HELP`

use crate::args::Bytes;
use crate::commands::{Entry, Group, HELP, Keys, NO_TIPS, help};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.help",
    group: Group::Inventory,
    flags: HELP,
    keys: Keys::None,
    arguments: &[],
    complexity: "O(1)",
    summary: "Prints this help.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(), Failure> {
    match args {
        [_] => Ok(()),
        _ => Err(Failure::Arity),
    }
}

pub(crate) fn run(_: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    parse(args)?;
    Ok(help::reply(Group::Inventory, "INV"))
}
