//! `INV.HELP`

use crate::commands::{Entry, Group, help};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = help::entry("inv.help", Group::Inventory, run);

pub(crate) fn run(_: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    help::answer(args, Group::Inventory, "INV")
}
