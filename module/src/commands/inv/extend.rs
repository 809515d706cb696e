//! `INV.EXTEND key hold-id PX ms`

use holdfast_stock::{Command, MAX_HOLD_MS};

use crate::args::{self, Bytes, Options};
use crate::commands::stock;
use crate::commands::syntax::{HOLD_ID, KEY, integer};
use crate::commands::{Access, Entry, Group, Keys, TELLS_TIME, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.extend",
    group: Group::Inventory,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID, integer("ms").after("PX")],
    complexity: "O(log n) in the key's holds",
    summary: "Moves a hold's deadline forward.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, id, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    let mut for_ms = None;
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"PX" => {
                let ms = args::number(options.value()?, "PX", 1, MAX_HOLD_MS)?;
                options.once(&mut for_ms, ms)?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    let for_ms = for_ms.ok_or(Failure::Arity)?;
    Ok((key, Command::Extend { id, for_ms }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
