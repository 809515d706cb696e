//! `INV.RESTORE key record…`, of which a rewritten AOF is made. All of its records are put under the key, or none.

use std::ops::Deref;

use holdfast_stock::{Ledger, Record};

use crate::args::Bytes;
use crate::commands::stock;
use crate::commands::syntax::{KEY, text};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.restore",
    group: Group::Internal,
    flags: "write",
    keys: Keys::First(Access::Insert),
    arguments: &[KEY, text("record"), text("value").multiple()],
    complexity: "O(m log n) for m records",
    summary: "Internal: puts records of a rewritten AOF under the key.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Vec<Record>), Failure> {
    let [_, key, records @ ..] = args else {
        return Err(Failure::Arity);
    };
    if records.is_empty() {
        return Err(Failure::Arity);
    }
    let records: Vec<_> = records.iter().map(Deref::deref).collect();
    let records = Record::all_from_args(&records)
        .map_err(|error| Failure::error(format!("this is no record: {error}")))?;
    Ok((key, records))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, records) = parse(args)?;
    context.open(key).value::<Ledger>()?;
    let restored = stock::write(context, key, |ledger| ledger.restore_all(&records))?;
    restored.map_err(|error| {
        Failure::error(format!(
            "the records were refused at {}: {error}",
            quoted(key)
        ))
    })?;
    context.replicate_verbatim();
    Ok(Reply::Word("OK"))
}
