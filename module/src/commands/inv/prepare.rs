//! `INV.PREPARE key hold-id [LATE quantity]`

use holdfast_stock::Command;

use crate::args::{self, Bytes, Options};
use crate::commands::stock;
use crate::commands::syntax::{HOLD_ID, KEY, LATE};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.prepare",
    group: Group::Inventory,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID, LATE],
    complexity: "O(log n) in the key's holds and outcomes",
    summary: "Stops a hold's deadline while the purchase is committed elsewhere.",
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
    let mut late = None;
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"LATE" => {
                let quantity = args::quantity(options.value()?, "LATE")?;
                options.once(&mut late, quantity)?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok((key, Command::Prepare { id, late }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
