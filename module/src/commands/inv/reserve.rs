//! `INV.RESERVE key hold-id quantity [PX ms | PXAT unix-ms]`

use holdfast_stock::{Command, DEFAULT_HOLD_MS, LONGEST_HOLD_MS, Until};

use crate::args::{self, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, id, quantity, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    let quantity = args::quantity(quantity)?;
    let until = deadline(rest)?;
    stock::run(
        context,
        key,
        &Command::Reserve {
            id,
            quantity,
            until,
        },
    )
}

/// `[PX ms | PXAT unix-ms]`
pub(super) fn deadline(rest: &[Arg<'_>]) -> Result<Until, Failure> {
    let mut until = None;
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        let value = match name.as_slice() {
            b"PX" => Until::In(args::number(options.value()?, "PX", 1, LONGEST_HOLD_MS)?),
            b"PXAT" => Until::At(args::number(options.value()?, "PXAT", 1, MAX_NUMBER)?),
            _ => return Err(options.unknown("PX ms or PXAT unix-ms")),
        };
        options.once(&mut until, value)?;
    }
    Ok(until.unwrap_or(Until::In(DEFAULT_HOLD_MS)))
}
