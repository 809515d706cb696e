//! `SESSION.SET key field value [field value …]`

use holdfast_session::Record;

use super::change;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, pairs @ ..] = args else {
        return Err(Failure::Arity);
    };
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Failure::Arity);
    }
    let pairs: Vec<_> = pairs
        .chunks_exact(2)
        .map(|pair| (pair[0].bytes(), pair[1].bytes()))
        .collect();
    let now_ms = context.now_ms();
    let effect = match context
        .open(key)
        .value::<Record>()?
        .filter(|record| record.left(now_ms).is_ok())
    {
        Some(record) => record.set(&pairs)?,
        None => return Ok(Reply::Integer(0)),
    };
    if let Some(effect) = effect {
        change(context, key, &effect)?;
    }
    Ok(Reply::number(pairs.len() as u64))
}
