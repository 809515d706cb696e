//! `INV.PREPARE key hold-id [LATE quantity]`

use holdfast_stock::Command;

use crate::args::{self, Bytes, Options};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

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
            _ => return Err(options.unknown("LATE quantity")),
        }
    }
    Ok((key, Command::Prepare { id, late }))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    stock::run(context, key, &command)
}
