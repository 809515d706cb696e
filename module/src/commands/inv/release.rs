//! `INV.RELEASE key hold-id`

use holdfast_stock::Command;

use crate::args::{self, Bytes};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

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
