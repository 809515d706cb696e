//! `INV.RESERVE key hold-id quantity [PX ms | PXAT unix-ms]`

use holdfast_stock::{Command, MAX_HOLD_MS, Until};

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::commands::syntax::{DEADLINE, HOLD_ID, KEY, QUANTITY};
use crate::commands::{Access, Entry, Group, Keys, TAKE, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.reserve",
    group: Group::Inventory,
    flags: TAKE,
    keys: Keys::First(Access::Update),
    arguments: &[KEY, HOLD_ID, QUANTITY, DEADLINE],
    complexity: "O(log n) in the key's holds and outcomes",
    summary: "Holds units until a deadline.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, id, quantity, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    let quantity = args::quantity(quantity, "quantity")?;
    let until = deadline(rest)?;
    Ok((
        key,
        Command::Reserve {
            id,
            quantity,
            until,
        },
    ))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}

/// `[PX ms | PXAT unix-ms]`
pub(super) fn deadline<A: Bytes>(rest: &[A]) -> Result<Until, Failure> {
    let (mut for_ms, mut at_ms) = (None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"PX" => {
                let ms = args::number(options.value()?, "PX", 1, MAX_HOLD_MS)?;
                options.once(&mut for_ms, ms)?;
            }
            b"PXAT" => {
                let unix_ms = args::number(options.value()?, "PXAT", 1, MAX_NUMBER)?;
                options.once(&mut at_ms, unix_ms)?;
            }
            _ => return Err(options.unknown(&[DEADLINE])),
        }
    }
    match (for_ms, at_ms) {
        (Some(_), Some(_)) => Err(Failure::error(
            "PX and PXAT cannot stand together; give one of them",
        )),
        (None, Some(unix_ms)) => Ok(Until::At(unix_ms)),
        (for_ms, None) => Ok(for_ms.map_or(Until::Default, Until::In)),
    }
}
