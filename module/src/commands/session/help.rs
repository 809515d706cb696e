//! `SESSION.HELP`

use crate::commands::{Entry, Group, help};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = help::entry("session.help", Group::Session, run);

pub(crate) fn run(_: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    help::answer(args, Group::Session, "SESSION")
}
