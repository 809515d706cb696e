//! `INV.CONFIRM key hold-id [QUANTITY quantity] [LATE quantity]`

use holdfast_stock::Command;

use crate::args::{self, Bytes, Options};
use crate::commands::stock;
use crate::commands::syntax::{HOLD_ID, KEY, LATE, QUANTITY};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.confirm",
    group: Group::Inventory,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID, QUANTITY.after("QUANTITY").optional(), LATE],
    complexity: "O(log n) in the key's holds and outcomes",
    summary: "Sells what is held.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, id, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    let (mut quantity, mut late) = (None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        let (slot, what) = match name.as_slice() {
            b"QUANTITY" => (&mut quantity, "QUANTITY"),
            b"LATE" => (&mut late, "LATE"),
            _ => return Err(options.unknown(ENTRY.arguments)),
        };
        let value = args::quantity(options.value()?, what)?;
        options.once(slot, value)?;
    }
    Ok((key, Command::Confirm { id, quantity, late }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
