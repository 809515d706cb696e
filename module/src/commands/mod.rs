//! The commands: one table of what there is, one file for each.

mod inv;
mod session;
pub(crate) mod stock;

use std::ops::Range;

use crate::args;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

/// How a command reads its arguments, which begin with its name. It needs no server.
type Parse = fn(&[&[u8]]) -> Result<(), Failure>;

/// What a command does when it is called; its arguments begin with its name.
pub(crate) type Run = fn(&mut Context, &[Arg<'_>]) -> Result<Reply, Failure>;

/// A command as the server is told of it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Arguments with the name; negative when there may be more.
    pub(crate) arity: i32,
    /// `deny-oom` stands where memory is taken, never where units or memory are given back.
    pub(crate) flags: &'static str,
    pub(crate) keys: Keys,
    pub(crate) complexity: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) parse: Parse,
    pub(crate) run: Run,
}

/// Where a command's keys are, and what becomes of them.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    /// The first argument.
    First(Access),
    /// As many as the first argument says, right behind it.
    Counted(Access),
}

impl Keys {
    /// Where the keys stand among the arguments, the command's name being at 0; empty if they cannot be told.
    pub(crate) fn positions(self, args: &[Arg<'_>]) -> Range<usize> {
        let positions = match self {
            Self::First(_) => 1..2,
            Self::Counted(_) => {
                let counted = args.get(1).and_then(|arg| numkeys(arg).ok()).unwrap_or(0);
                2..2 + counted
            }
        };
        if positions.end <= args.len() {
            positions
        } else {
            0..0
        }
    }

    pub(crate) fn access(self) -> Access {
        match self {
            Self::First(access) | Self::Counted(access) => access,
        }
    }
}

/// More keys than any order has lines; it keeps one command from stopping the server.
const MAX_KEYS: u64 = 1024;

/// How many keys follow.
fn numkeys(arg: &[u8]) -> Result<usize, Failure> {
    args::number(arg, "numkeys", 1, MAX_KEYS).map(|numkeys| numkeys as usize)
}

/// What a command does to its keys.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Update,
    Insert,
    Delete,
}

/// Reads the arguments of any command of the table, its name first, in any case.
pub(crate) fn parse(args: &[&[u8]]) -> Result<(), Failure> {
    let Some(name) = args.first() else {
        return Err(Failure::Arity);
    };
    let command = TABLE
        .iter()
        .find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
        .ok_or_else(|| Failure::error(format!("unknown command {}", quoted(name))))?;
    (command.parse)(args)
}

const READ: &str = "readonly fast";
const WRITE: &str = "write fast";
const TAKE: &str = "write deny-oom fast";
/// Redis 7.0 does not look at key specifications in a cluster: it must ask the command itself where its keys are.
const TAKE_OF_MANY: &str = "write deny-oom getkeys-api";

/// Every command of the module.
pub(crate) static TABLE: &[Command] = &[
    Command {
        name: "inv.set",
        arity: -3,
        flags: TAKE,
        keys: Keys::First(Access::Insert),
        complexity: "O(log n) in the key's holds",
        summary: "Sets how many units there are, creating the key.",
        parse: |args| inv::set::parse(args).map(drop),
        run: inv::set::run,
    },
    Command {
        name: "inv.adjust",
        arity: -3,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and adjustments",
        summary: "Adds units or takes them off, once for each id.",
        parse: |args| inv::adjust::parse(args).map(drop),
        run: inv::adjust::run,
    },
    Command {
        name: "inv.reserve",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Holds units until a deadline.",
        parse: |args| inv::reserve::parse(args).map(drop),
        run: inv::reserve::run,
    },
    Command {
        name: "inv.mreserve",
        arity: -5,
        flags: TAKE_OF_MANY,
        keys: Keys::Counted(Access::Update),
        complexity: "O(k log n) for k keys",
        summary: "Holds units of several keys, all or none.",
        parse: |args| inv::mreserve::parse(args).map(drop),
        run: inv::mreserve::run,
    },
    Command {
        name: "inv.prepare",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Stops a hold's deadline while the purchase is committed elsewhere.",
        parse: |args| inv::prepare::parse(args).map(drop),
        run: inv::prepare::run,
    },
    Command {
        name: "inv.extend",
        arity: 5,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds",
        summary: "Moves a hold's deadline forward.",
        parse: |args| inv::extend::parse(args).map(drop),
        run: inv::extend::run,
    },
    Command {
        name: "inv.confirm",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Sells what is held.",
        parse: |args| inv::confirm::parse(args).map(drop),
        run: inv::confirm::run,
    },
    Command {
        name: "inv.release",
        arity: 3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Gives back what is held.",
        parse: |args| inv::release::parse(args).map(drop),
        run: inv::release::run,
    },
    Command {
        name: "inv.get",
        arity: 2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(1), and once for each hold that has fallen due since the last look",
        summary: "Shows the count and what is held of it.",
        parse: |args| inv::get::parse(args).map(drop),
        run: inv::get::run,
    },
    Command {
        name: "inv.hold",
        arity: 3,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Shows one hold.",
        parse: |args| inv::hold::parse(args).map(drop),
        run: inv::hold::run,
    },
    Command {
        name: "inv.pending",
        arity: -3,
        flags: "readonly",
        keys: Keys::First(Access::Read),
        complexity: "O(m log n) for m holds in the reply",
        summary: "Lists the holds that have been prepared for long.",
        parse: |args| inv::pending::parse(args).map(drop),
        run: inv::pending::run,
    },
    Command {
        name: "inv.apply",
        arity: -5,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(log n) in the key's holds, for each change",
        summary: "Internal: applies an effect that a primary has decided.",
        parse: |args| inv::apply::parse(args).map(drop),
        run: inv::apply::run,
    },
    Command {
        name: "inv.restore",
        arity: -6,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(m log n) for m records",
        summary: "Internal: puts records of a rewritten AOF under the key.",
        parse: |args| inv::restore::parse(args).map(drop),
        run: inv::restore::run,
    },
    Command {
        name: "session.start",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Insert),
        complexity: "O(f) in its fields",
        summary: "Starts a session.",
        parse: |args| session::start::parse(args).map(drop),
        run: session::start::run,
    },
    Command {
        name: "session.touch",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(1)",
        summary: "Checks a session's secret, records the view and keeps it alive.",
        parse: |args| session::touch::parse(args).map(drop),
        run: session::touch::run,
    },
    Command {
        name: "session.get",
        arity: -2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(f) in its fields",
        summary: "Shows a session or some of its fields.",
        parse: |args| session::get::parse(args).map(drop),
        run: session::get::run,
    },
    Command {
        name: "session.set",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(f) in its fields",
        summary: "Sets fields of a session.",
        parse: |args| session::set::parse(args).map(drop),
        run: session::set::run,
    },
    Command {
        name: "session.viewed",
        arity: -2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(1), there being at most 25",
        summary: "Lists the items viewed last, newest first.",
        parse: |args| session::viewed::parse(args).map(drop),
        run: session::viewed::run,
    },
    Command {
        name: "session.rotate",
        arity: -4,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(1)",
        summary: "Gives a session a new secret.",
        parse: |args| session::rotate::parse(args).map(drop),
        run: session::rotate::run,
    },
    Command {
        name: "session.end",
        arity: 2,
        flags: WRITE,
        keys: Keys::First(Access::Delete),
        complexity: "O(1)",
        summary: "Ends a session.",
        parse: |args| session::end::parse(args).map(drop),
        run: session::end::run,
    },
    Command {
        name: "session.apply",
        arity: -4,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(f) in its fields",
        summary: "Internal: applies an effect that a primary has decided.",
        parse: |args| session::apply::parse(args).map(drop),
        run: session::apply::run,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_without_a_server() {
        let read = |line: &str| {
            let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
            parse(&args).map_err(|failure| failure.to_string())
        };
        assert_eq!(read("INV.RESERVE a o1 2 PX 5"), Ok(()));
        assert_eq!(read("inv.mreserve 2 a b o1 1 2"), Ok(()));
        assert_eq!(read("inv.apply a 1 COUNTED 5"), Ok(()));
        let errors = [
            ("GET a", "ERR unknown command 'GET'"),
            ("inv.get", "ERR wrong number of arguments"),
            ("inv.mreserve 2 a a o1 1 2", "ERR key 'a' is given twice"),
            ("inv.mreserve 2 a b o1 1", "ERR wrong number of arguments"),
            ("session.end a b", "ERR wrong number of arguments"),
            ("session.start a b c", "ERR digest must be a SHA-256"),
        ];
        for (line, expected) in errors {
            let error = read(line).expect_err(line);
            assert!(error.starts_with(expected), "{line}: {error}");
        }
    }

    #[test]
    fn too_few_arguments_are_an_error_of_every_command() {
        for command in TABLE {
            let name = command.name.as_bytes();
            let least = command.arity.unsigned_abs() as usize;
            for count in 1..least {
                let args: Vec<_> = std::iter::once(name)
                    .chain([b"1".as_slice(); 9])
                    .take(count)
                    .collect();
                assert!(parse(&args).is_err(), "{} with {count}", command.name);
            }
        }
    }
}
