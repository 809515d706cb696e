//! `INV.RELEASE key hold-id`

use holdfast_stock::Command;

use crate::args::{self, Bytes};
use crate::commands::stock;
use crate::commands::syntax::{HOLD_ID, KEY};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.release",
    group: Group::Inventory,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID],
    complexity: "O(log n) in the key's holds and outcomes",
    summary: "Gives back what is held.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, id] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    Ok((key, Command::Release { id }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
