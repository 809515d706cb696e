//! `INV.HOLD key hold-id`

use holdfast_stock::{Id, Ledger, Standing, State};

use crate::args::{self, Bytes};
use crate::commands::syntax::{HOLD_ID, KEY};
use crate::commands::{Access, Entry, Group, Keys, READ, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.hold",
    group: Group::Inventory,
    flags: READ,
    keys: Keys::First(Access::Read),
    arguments: &[KEY, HOLD_ID],
    complexity: "O(log n) in the key's holds and outcomes",
    summary: "Shows one hold.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Id), Failure> {
    let [_, key, id] = args else {
        return Err(Failure::Arity);
    };
    Ok((key, args::id(id, "hold id")?))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, id) = parse(args)?;
    let open = context.open(key);
    let Some(ledger) = open.value::<Ledger>()? else {
        return Ok(Reply::Null);
    };
    let (state, quantity, deadline_ms) = match ledger.standing(&id, context.now_ms()) {
        Standing::Unknown => return Ok(Reply::Null),
        Standing::Live(hold) => {
            let state = match hold.state {
                State::Held { .. } => "HELD",
                State::Prepared { .. } => "PREPARED",
            };
            (state, hold.quantity, hold.deadline_ms())
        }
        Standing::Due(hold) => ("EXPIRED", hold.quantity, 0),
        Standing::Finished(outcome) => (outcome.ending.word().as_str(), outcome.quantity, 0),
    };
    Ok(Reply::map([
        ("id", Reply::Bulk(id.to_bytes())),
        ("state", Reply::Word(state)),
        ("quantity", Reply::number(quantity)),
        ("deadline", Reply::number(deadline_ms)),
    ]))
}
