//! `INV.EXTEND key hold-id PX ms`

use holdfast_stock::{Command, MAX_HOLD_MS};

use crate::args::{self, Bytes, Options};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

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
            _ => return Err(options.unknown("PX ms")),
        }
    }
    let for_ms = for_ms.ok_or(Failure::Arity)?;
    Ok((key, Command::Extend { id, for_ms }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
