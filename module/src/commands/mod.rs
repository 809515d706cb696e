//! The commands: one table of what there is, one file for each.

mod inv;
mod session;
pub(crate) mod stock;

use std::ops::Range;

use crate::args;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

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
        run: inv::set::run,
    },
    Command {
        name: "inv.adjust",
        arity: -3,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and adjustments",
        summary: "Adds units or takes them off, once for each id.",
        run: inv::adjust::run,
    },
    Command {
        name: "inv.reserve",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Holds units until a deadline.",
        run: inv::reserve::run,
    },
    Command {
        name: "inv.mreserve",
        arity: -5,
        flags: TAKE_OF_MANY,
        keys: Keys::Counted(Access::Update),
        complexity: "O(k log n) for k keys",
        summary: "Holds units of several keys, all or none.",
        run: inv::mreserve::run,
    },
    Command {
        name: "inv.prepare",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Stops a hold's deadline while the purchase is committed elsewhere.",
        run: inv::prepare::run,
    },
    Command {
        name: "inv.extend",
        arity: 5,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds",
        summary: "Moves a hold's deadline forward.",
        run: inv::extend::run,
    },
    Command {
        name: "inv.confirm",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Sells what is held.",
        run: inv::confirm::run,
    },
    Command {
        name: "inv.release",
        arity: 3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Gives back what is held.",
        run: inv::release::run,
    },
    Command {
        name: "inv.get",
        arity: 2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(1), and once for each hold that has fallen due since the last look",
        summary: "Shows the count and what is held of it.",
        run: inv::get::run,
    },
    Command {
        name: "inv.hold",
        arity: 3,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(log n) in the key's holds and outcomes",
        summary: "Shows one hold.",
        run: inv::hold::run,
    },
    Command {
        name: "inv.pending",
        arity: -3,
        flags: "readonly",
        keys: Keys::First(Access::Read),
        complexity: "O(m log n) for m holds in the reply",
        summary: "Lists the holds that have been prepared for long.",
        run: inv::pending::run,
    },
    Command {
        name: "inv.apply",
        arity: -5,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(log n) in the key's holds, for each change",
        summary: "Internal: applies an effect that a primary has decided.",
        run: inv::apply::run,
    },
    Command {
        name: "inv.restore",
        arity: -6,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(m log n) for m records",
        summary: "Internal: puts records of a rewritten AOF under the key.",
        run: inv::restore::run,
    },
    Command {
        name: "session.start",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Insert),
        complexity: "O(f) in its fields",
        summary: "Starts a session.",
        run: session::start::run,
    },
    Command {
        name: "session.touch",
        arity: -3,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(1)",
        summary: "Checks a session's secret, records the view and keeps it alive.",
        run: session::touch::run,
    },
    Command {
        name: "session.get",
        arity: -2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(f) in its fields",
        summary: "Shows a session or some of its fields.",
        run: session::get::run,
    },
    Command {
        name: "session.set",
        arity: -4,
        flags: TAKE,
        keys: Keys::First(Access::Update),
        complexity: "O(f) in its fields",
        summary: "Sets fields of a session.",
        run: session::set::run,
    },
    Command {
        name: "session.viewed",
        arity: -2,
        flags: READ,
        keys: Keys::First(Access::Read),
        complexity: "O(1), there being at most 25",
        summary: "Lists the items viewed last, newest first.",
        run: session::viewed::run,
    },
    Command {
        name: "session.rotate",
        arity: -4,
        flags: WRITE,
        keys: Keys::First(Access::Update),
        complexity: "O(1)",
        summary: "Gives a session a new secret.",
        run: session::rotate::run,
    },
    Command {
        name: "session.end",
        arity: 2,
        flags: WRITE,
        keys: Keys::First(Access::Delete),
        complexity: "O(1)",
        summary: "Ends a session.",
        run: session::end::run,
    },
    Command {
        name: "session.apply",
        arity: -4,
        flags: WRITE,
        keys: Keys::First(Access::Insert),
        complexity: "O(f) in its fields",
        summary: "Internal: applies an effect that a primary has decided.",
        run: session::apply::run,
    },
];
