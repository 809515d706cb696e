//! `SESSION.ROTATE key old-digest new-digest [GRACE ms]`

use holdfast_session::limits::LONGEST_GRACE_MS;
use holdfast_session::{Record, State};

use super::change;
use crate::args::{self, Options};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, old, new, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let (old, new) = (
        args::digest(old, "old-digest")?,
        args::digest(new, "new-digest")?,
    );
    if old == new {
        return Err(Failure::error(
            "new-digest must differ from old-digest, or nothing is rotated",
        ));
    }
    let mut grace_ms = None;
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"GRACE" => {
                let ms = args::number(options.value()?, "GRACE", 0, LONGEST_GRACE_MS)?;
                options.once(&mut grace_ms, ms)?;
            }
            _ => return Err(options.unknown("GRACE ms")),
        }
    }
    let (state, effect) = match context.open(key).value::<Record>()? {
        Some(record) => record.rotate(&old, &new, grace_ms.unwrap_or(0), context.now_ms()),
        None => (State::Absent, None),
    };
    if let Some(effect) = effect {
        change(context, key, &effect)?;
    }
    Ok(Reply::Word(state.as_str()))
}
