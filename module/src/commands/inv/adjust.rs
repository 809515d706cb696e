//! `INV.ADJUST key delta [ID adjustment-id] [IF seq] [FORCE]`

use holdfast_stock::{Command, MAX_UNITS};

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::commands::syntax::{FORCE, KEY, ONLY_IF, integer, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, TAKE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.adjust",
    group: Group::Inventory,
    flags: TAKE,
    keys: Keys::First(Access::Update),
    arguments: &[
        KEY,
        integer("delta"),
        text("adjustment-id").after("ID").optional(),
        ONLY_IF,
        FORCE,
    ],
    complexity: "O(log n) in the key's holds and adjustments",
    summary: "Adds units or takes them off, once for each id.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, delta, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let most = MAX_UNITS as i64;
    let delta = args::whole(delta, "delta", -most..=most)?;
    if delta == 0 {
        return Err(Failure::error(
            "delta must not be 0, which would change nothing",
        ));
    }
    let (mut id, mut only_if, mut force) = (None, None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"ID" => {
                let value = args::id(options.value()?, "adjustment id")?;
                options.once(&mut id, value)?;
            }
            b"IF" => {
                let seq = args::number(options.value()?, "seq", 0, MAX_NUMBER)?;
                options.once(&mut only_if, seq)?;
            }
            b"FORCE" => options.once(&mut force, ())?,
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok((
        key,
        Command::Adjust {
            delta,
            id,
            only_if,
            force: force.is_some(),
        },
    ))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
