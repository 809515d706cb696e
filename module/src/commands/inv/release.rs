//! `INV.RELEASE key hold-id`

use holdfast_stock::Command;

use crate::args;
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, id] = args else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    stock::run(context, key, &Command::Release { id })
}
