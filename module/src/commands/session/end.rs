//! `SESSION.END key`

use holdfast_session::Record;

use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key] = args else {
        return Err(Failure::Arity);
    };
    let live = match context.open(key).value::<Record>()? {
        Some(record) => record.left(context.now_ms()).is_ok(),
        None => return Ok(Reply::Integer(0)),
    };
    context.open_mut(key)?.delete();
    // Nothing in it depends on a clock, so it can go out as it came.
    context.replicate_verbatim();
    Ok(Reply::Integer(live.into()))
}
