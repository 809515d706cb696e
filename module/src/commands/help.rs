//! HELP, which each group of commands has, and its answer, made from the table.

use crate::args::Bytes;
use crate::commands::{Entry, Group, HELP, Keys, NO_TIPS, Run, TABLE, syntax};
use crate::ffi::Arg;
use crate::reply::{Failure, Reply};

/// The entry of a group's HELP.
pub(super) const fn entry(name: &'static str, group: Group, run: Run) -> Entry {
    Entry {
        name,
        group,
        flags: HELP,
        keys: Keys::None,
        arguments: &[],
        complexity: "O(1)",
        summary: "Prints this help.",
        tips: NO_TIPS,
        since: "0.1.0",
        parse: |args| parse(args),
        run,
    }
}

/// Answers a group's HELP.
pub(super) fn answer(args: &[Arg<'_>], group: Group, prefix: &str) -> Result<Reply, Failure> {
    parse(args)?;
    Ok(reply(group, prefix))
}

fn parse<A: Bytes>(args: &[A]) -> Result<(), Failure> {
    match args {
        [_] => Ok(()),
        _ => Err(Failure::Arity),
    }
}

/// The commands of a group in the form of Redis's own HELP: what to type, and below it what that does.
fn reply(group: Group, prefix: &str) -> Reply {
    let head = format!("{prefix}.<command> [<argument> ...]. Commands are:");
    let commands = TABLE
        .iter()
        .filter(|entry| entry.group == group)
        .flat_map(|entry| {
            let name = entry.name.to_ascii_uppercase();
            let syntax = format!("{name} {}", syntax::line(entry.arguments));
            [
                syntax.trim_end().to_owned(),
                format!("    {}", entry.summary),
            ]
        });
    Reply::Array(
        std::iter::once(head)
            .chain(commands)
            .map(Reply::Line)
            .collect(),
    )
}
