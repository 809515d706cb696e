//! `SESSION.VIEWED key [count]`

use holdfast_session::Record;
use holdfast_session::limits::MAX_VIEWED;

use crate::args;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, count) = match args {
        [_, key] => (key, MAX_VIEWED as u64),
        [_, key, count] => (key, args::number(count, "count", 1, MAX_VIEWED as u64)?),
        _ => return Err(Failure::Arity),
    };
    let open = context.open(key);
    let now_ms = context.now_ms();
    let live = open
        .value::<Record>()?
        .filter(|record| record.left(now_ms).is_ok());
    let items = live
        .into_iter()
        .flat_map(|record| record.viewed().iter())
        .take(count as usize);
    Ok(Reply::Array(items.map(Reply::bulk).collect()))
}
