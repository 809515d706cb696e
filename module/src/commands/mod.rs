//! The commands: one table of what there is, one file for each.

mod help;
mod inv;
mod session;
pub(crate) mod stock;
pub(crate) mod syntax;

use std::ops::Range;

use crate::args;
use crate::commands::syntax::Argument;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

/// How a command reads its arguments, which begin with its name. It needs no server.
type Parse = fn(&[&[u8]]) -> Result<(), Failure>;

/// What a command does when it is called; its arguments begin with its name.
pub(crate) type Run = fn(&mut Context, &[Arg<'_>]) -> Result<Reply, Failure>;

/// A command as the server and its users are told of it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// `deny-oom` stands where memory is taken, never where units or memory are given back.
    pub(crate) flags: &'static str,
    pub(crate) keys: Keys,
    pub(crate) arguments: &'static [Argument],
    pub(crate) complexity: &'static str,
    pub(crate) summary: &'static str,
    /// What clients and proxies should know, in the words of Redis's command tips.
    pub(crate) tips: &'static str,
    /// The release that brought it.
    pub(crate) since: &'static str,
    pub(crate) parse: Parse,
    pub(crate) run: Run,
}

/// Whom a command is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Inventory,
    Session,
    /// Replicas and the AOF. An ACL that grants a family of commands does not grant these.
    Internal,
}

/// Every command of the module.
pub(crate) static TABLE: &[Entry] = &[
    inv::set::ENTRY,
    inv::adjust::ENTRY,
    inv::reserve::ENTRY,
    inv::mreserve::ENTRY,
    inv::prepare::ENTRY,
    inv::extend::ENTRY,
    inv::confirm::ENTRY,
    inv::release::ENTRY,
    inv::r#return::ENTRY,
    inv::get::ENTRY,
    inv::hold::ENTRY,
    inv::holds::ENTRY,
    inv::pending::ENTRY,
    inv::help::ENTRY,
    inv::apply::ENTRY,
    inv::restore::ENTRY,
    session::start::ENTRY,
    session::touch::ENTRY,
    session::get::ENTRY,
    session::set::ENTRY,
    session::viewed::ENTRY,
    session::rotate::ENTRY,
    session::end::ENTRY,
    session::help::ENTRY,
    session::apply::ENTRY,
];

const READ: &str = "readonly fast";
const WRITE: &str = "write fast";
const TAKE: &str = "write deny-oom fast";
/// Redis 7.0 does not look at key specifications in a cluster: it must ask the command itself where its keys are.
const TAKE_OF_MANY: &str = "write deny-oom getkeys-api";
/// As the HELP of Redis's own commands.
const HELP: &str = "allow-loading allow-stale";

/// The tip for replies that tell a time, or depend on it.
const TELLS_TIME: &str = "nondeterministic_output";
const NO_TIPS: &str = "";

impl Entry {
    /// The ACL categories, as far as the server has them.
    pub(crate) fn categories(&self) -> Vec<&'static str> {
        let flags = || self.flags.split(' ');
        let access = [("readonly", "read"), ("write", "write")];
        let access = access
            .into_iter()
            .filter(|(flag, _)| flags().any(|one| one == *flag));
        let speed = if flags().any(|flag| flag == "fast") {
            "fast"
        } else {
            "slow"
        };
        let family = match self.group {
            Group::Inventory => INVENTORY,
            Group::Session => SESSION,
            Group::Internal => "dangerous",
        };
        access
            .map(|(_, category)| category)
            .chain([speed, family])
            .collect()
    }
}

/// The ACL categories of the module's own.
pub(crate) const INVENTORY: &str = "inventory";
pub(crate) const SESSION: &str = "session";

/// Where a command's keys are, and what becomes of them.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    None,
    /// The first argument.
    First(Access),
    /// As many as the first argument says, right behind it.
    Counted(Access),
}

impl Keys {
    /// Where the keys stand among the arguments, the command's name being at 0; empty if they cannot be told.
    pub(crate) fn positions(self, args: &[Arg<'_>]) -> Range<usize> {
        let positions = match self {
            Self::None => 0..0,
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

    pub(crate) fn access(self) -> Option<Access> {
        match self {
            Self::None => None,
            Self::First(access) | Self::Counted(access) => Some(access),
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
    let entry = TABLE
        .iter()
        .find(|entry| entry.name.as_bytes().eq_ignore_ascii_case(name))
        .ok_or_else(|| Failure::error(format!("unknown command {}", quoted(name))))?;
    (entry.parse)(args)
}

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
        for entry in TABLE {
            let name = entry.name.as_bytes();
            let least = syntax::arity(entry.arguments).unsigned_abs() as usize;
            for count in 1..least {
                let args: Vec<_> = std::iter::once(name)
                    .chain([b"1".as_slice(); 9])
                    .take(count)
                    .collect();
                assert!(parse(&args).is_err(), "{} with {count}", entry.name);
            }
        }
    }
}
