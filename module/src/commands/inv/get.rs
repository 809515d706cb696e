//! `INV.GET key`

use holdfast_stock::Ledger;

use crate::args::Bytes;
use crate::commands::syntax::KEY;
use crate::commands::{Access, Entry, Group, Keys, READ, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.get",
    group: Group::Inventory,
    flags: READ,
    keys: Keys::First(Access::Read),
    arguments: &[KEY],
    complexity: "O(1), and once for each hold that has fallen due since the last look",
    summary: "Shows the count and what is held of it.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<&A, Failure> {
    match args {
        [_, key] => Ok(key),
        _ => Err(Failure::Arity),
    }
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let key = parse(args)?;
    let open = context.open(key);
    let Some(ledger) = open.value::<Ledger>()? else {
        return Ok(Reply::Null);
    };
    let summary = ledger.summary(context.now_ms());
    Ok(Reply::map([
        ("on_hand", Reply::number(summary.on_hand)),
        ("held", Reply::number(summary.held)),
        ("prepared", Reply::number(summary.prepared)),
        ("available", Reply::number(summary.available)),
        ("sold", Reply::number(summary.sold)),
        ("seq", Reply::number(summary.seq)),
        ("holds", Reply::number(summary.holds)),
        ("shortfall", Reply::number(summary.shortfall)),
    ]))
}
