//! `SESSION.START key digest user [IDLE ms] [ABSOLUTE ms] [ROLES roles] [FIELD field value [field value ...]]`

use holdfast_session::limits::{LONGEST_TIMEOUT_MS, MAX_ROLES_BYTES, MAX_USER_BYTES};
use holdfast_session::{Digest, Record, Start, Started};

use super::change;
use crate::args::{self, Bytes, Options};
use crate::commands::syntax::{DIGEST, KEY, block, integer, text};
use crate::commands::{Access, Entry, Group, Keys, TAKE, TELLS_TIME};
use crate::config;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};
use crate::statistics;

pub(crate) const ENTRY: Entry = Entry {
    name: "session.start",
    group: Group::Session,
    flags: TAKE,
    keys: Keys::First(Access::Insert),
    arguments: &[
        KEY,
        DIGEST,
        text("user"),
        integer("ms").after("IDLE").optional(),
        integer("ms").after("ABSOLUTE").optional(),
        text("roles").after("ROLES").optional(),
        block("fields", &[text("field"), text("value")])
            .after("FIELD")
            .multiple()
            .optional(),
    ],
    complexity: "O(f) in its fields",
    summary: "Starts a session.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// A session that is to start; what is not given has a default.
pub(crate) struct Asked<'a, A> {
    key: &'a A,
    digest: Digest,
    user: &'a [u8],
    roles: Option<&'a [u8]>,
    idle_ms: Option<u64>,
    absolute_ms: Option<u64>,
    fields: Vec<(&'a [u8], &'a [u8])>,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Asked<'_, A>, Failure> {
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
                fields = args::pairs(options.take_rest()).ok_or_else(|| {
                    Failure::error("FIELD needs pairs of a name and a value, and comes last")
                })?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok(Asked {
        key,
        digest,
        user,
        roles,
        idle_ms,
        absolute_ms,
        fields,
    })
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let asked = parse(args)?;
    let key = asked.key;
    let start = Start {
        digest: asked.digest,
        user: asked.user,
        roles: asked.roles.unwrap_or_default(),
        idle_ms: asked.idle_ms.unwrap_or_else(config::session_idle_ms),
        absolute_ms: asked
            .absolute_ms
            .unwrap_or_else(config::session_absolute_ms),
        fields: asked.fields,
    };
    let started = start.decide(context.open(key).value::<Record>()?, context.now_ms())?;
    let left = match started {
        Started::New(left, effect) => {
            change(context, key, &effect)?;
            statistics::SESSIONS_STARTED.add(1);
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
