//! `SESSION.START key digest user [IDLE ms] [ABSOLUTE ms] [ROLES r] [FIELD f v …]`

use holdfast_session::limits::{
    DEFAULT_ABSOLUTE_MS, DEFAULT_IDLE_MS, LONGEST_TIMEOUT_MS, MAX_ROLES_BYTES, MAX_USER_BYTES,
};
use holdfast_session::{Record, Start, Started};

use super::change;
use crate::args::{self, Options};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, digest, user, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let digest = args::digest(digest, "digest")?;
    let user = args::text(user, "user", 1, MAX_USER_BYTES)?;
    let (mut idle_ms, mut absolute_ms, mut roles) = (None, None, None);
    let mut fields = Vec::new();
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"IDLE" => {
                let ms = args::number(options.value()?, "IDLE", 1, LONGEST_TIMEOUT_MS)?;
                options.once(&mut idle_ms, ms)?;
            }
            b"ABSOLUTE" => {
                let ms = args::number(options.value()?, "ABSOLUTE", 1, LONGEST_TIMEOUT_MS)?;
                options.once(&mut absolute_ms, ms)?;
            }
            b"ROLES" => {
                let value = args::text(options.value()?, "roles", 0, MAX_ROLES_BYTES)?;
                options.once(&mut roles, value)?;
            }
            // The last option: every pair that follows is a field, whatever its name.
            b"FIELD" => {
                let pairs = options.take_rest();
                if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
                    return Err(Failure::error(
                        "FIELD needs pairs of a name and a value, and comes last",
                    ));
                }
                fields = pairs
                    .chunks_exact(2)
                    .map(|pair| (pair[0].bytes(), pair[1].bytes()))
                    .collect();
            }
            _ => return Err(options.unknown("IDLE ms, ABSOLUTE ms, ROLES r and FIELD f v …")),
        }
    }
    let start = Start {
        digest,
        user,
        roles: roles.unwrap_or_default(),
        idle_ms: idle_ms.unwrap_or(DEFAULT_IDLE_MS),
        absolute_ms: absolute_ms.unwrap_or(DEFAULT_ABSOLUTE_MS),
        fields,
    };
    let started = start.decide(context.open(key).value::<Record>()?, context.now_ms())?;
    let left = match started {
        Started::New(left, effect) => {
            change(context, key, &effect)?;
            left
        }
        Started::Again(left) => left,
        Started::Exists => {
            let key = quoted(key);
            let message = format!(
                "EXISTS another session is live at {key}; use a new id or SESSION.END it first"
            );
            return Err(Failure::Message(message));
        }
    };
    Ok(Reply::Array(vec![
        Reply::Word("OK"),
        Reply::number(left.idle_ms),
        Reply::number(left.absolute_ms),
    ]))
}
