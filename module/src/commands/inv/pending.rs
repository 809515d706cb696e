//! `INV.PENDING key min-age-ms [COUNT count]`

use holdfast_stock::Ledger;

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::inv::{DEFAULT_COUNT, MAX_COUNT};
use crate::commands::syntax::{COUNT, KEY, integer};
use crate::commands::{Access, Entry, Group, Keys, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.pending",
    group: Group::Inventory,
    flags: "readonly",
    keys: Keys::First(Access::Read),
    arguments: &[KEY, integer("min-age-ms"), COUNT],
    complexity: "O(m log n) for m holds in the reply",
    summary: "Lists the holds that have been prepared for long.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// Which prepared holds are asked for.
pub(crate) struct Pending<'a, A> {
    key: &'a A,
    min_age_ms: u64,
    count: u64,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Pending<'_, A>, Failure> {
    let [_, key, min_age_ms, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let min_age_ms = args::number(min_age_ms, "min-age-ms", 0, MAX_NUMBER)?;
    let mut count = None;
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"COUNT" => {
                let value = args::number(options.value()?, "COUNT", 1, MAX_COUNT)?;
                options.once(&mut count, value)?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok(Pending {
        key,
        min_age_ms,
        count: count.unwrap_or(DEFAULT_COUNT),
    })
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let Pending {
        key,
        min_age_ms,
        count,
    } = parse(args)?;
    let open = context.open(key);
    let Some(ledger) = open.value::<Ledger>()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let now_ms = context.now_ms();
    let old = ledger
        .pending()
        .take_while(|(since_ms, _)| since_ms.saturating_add(min_age_ms) <= now_ms);
    let holds = old.take(count as usize).map(|(since_ms, hold)| {
        let (id, quantity) = (
            Reply::Bulk(hold.id.to_bytes()),
            Reply::number(hold.quantity),
        );
        Reply::Array(vec![
            id,
            quantity,
            Reply::number(now_ms.saturating_sub(since_ms)),
        ])
    });
    Ok(Reply::Array(holds.collect()))
}
