//! What HELP answers, made from the table.

use crate::commands::{Group, TABLE, syntax};
use crate::reply::Reply;

/// The commands of a group in the form of Redis's own HELP: what to type, and below it what that does.
pub(super) fn reply(group: Group, prefix: &str) -> Reply {
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
