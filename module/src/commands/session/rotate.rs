//! `SESSION.ROTATE key old-digest new-digest [GRACE ms]`

use holdfast_session::limits::LONGEST_GRACE_MS;
use holdfast_session::{Digest, Record, State};

use super::change;
use crate::args::{self, Bytes, Options};
use crate::commands::syntax::{KEY, integer, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, WRITE};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};
use crate::statistics;

pub(crate) const ENTRY: Entry = Entry {
    name: "session.rotate",
    group: Group::Session,
    flags: WRITE,
    keys: Keys::First(Access::Update),
    arguments: &[
        KEY,
        text("old-digest"),
        text("new-digest"),
        integer("ms").after("GRACE").optional(),
    ],
    complexity: "O(1)",
    summary: "Gives a session a new secret.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// Which secret takes the place of which, and for how long the old one still works.
pub(crate) struct Rotate<'a, A> {
    key: &'a A,
    old: Digest,
    new: Digest,
    grace_ms: u64,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Rotate<'_, A>, Failure> {
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
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok(Rotate {
        key,
        old,
        new,
        grace_ms: grace_ms.unwrap_or(0),
    })
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let Rotate {
        key,
        old,
        new,
        grace_ms,
    } = parse(args)?;
    let (state, effect) = match context.open(key).value::<Record>()? {
        Some(record) => record.rotate(&old, &new, grace_ms, context.now_ms()),
        None => (State::Absent, None),
    };
    if let Some(effect) = effect {
        change(context, key, &effect)?;
    }
    statistics::checked(state, &statistics::SESSIONS_ROTATED);
    Ok(Reply::Word(state.as_str()))
}
