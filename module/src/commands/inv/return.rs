//! `INV.RETURN key hold-id return-id quantity`

use holdfast_stock::Command;

use crate::args::{self, Bytes};
use crate::commands::syntax::{HOLD_ID, KEY, QUANTITY, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE, stock};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.return",
    group: Group::Inventory,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID, text("return-id"), QUANTITY],
    complexity: "O(log n) in the key's outcomes and adjustments",
    summary: "Takes back units that were sold, once for each return id.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, id, return_id, quantity] = args else {
        return Err(Failure::Arity);
    };
    let command = Command::Return {
        id: args::id(id, "hold id")?,
        return_id: args::id(return_id, "return id")?,
        quantity: args::quantity(quantity, "quantity")?,
    };
    Ok((key, command))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
