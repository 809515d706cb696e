//! `INV.HOLDS key [STATE <HELD | PREPARED>] [CURSOR cursor] [COUNT count]`

use holdfast_stock::{Hold, Ledger, State, StateFilter};

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::inv::{DEFAULT_COUNT, MAX_COUNT};
use crate::commands::syntax::{COUNT, KEY, integer, one_of, token};
use crate::commands::{Access, Entry, Group, Keys, TELLS_TIME};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.holds",
    group: Group::Inventory,
    flags: "readonly",
    keys: Keys::First(Access::Read),
    arguments: &[
        KEY,
        one_of("state", &[token("HELD"), token("PREPARED")])
            .after("STATE")
            .optional(),
        integer("cursor").after("CURSOR").optional(),
        COUNT,
    ],
    complexity: "O(m + log n) for m holds that are looked at, 10000 at most",
    summary: "Lists live holds, a page at a time.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// Which page of which holds is asked for.
pub(crate) struct Holds<'a, A> {
    key: &'a A,
    state: Option<StateFilter>,
    cursor: u64,
    count: u64,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Holds<'_, A>, Failure> {
    let [_, key, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let (mut state, mut cursor, mut count) = (None, None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"STATE" => {
                let value = read_state(options.value()?)?;
                options.once(&mut state, value)?;
            }
            b"CURSOR" => {
                let value = args::number(options.value()?, "CURSOR", 0, MAX_NUMBER)?;
                options.once(&mut cursor, value)?;
            }
            b"COUNT" => {
                let value = args::number(options.value()?, "COUNT", 1, MAX_COUNT)?;
                options.once(&mut count, value)?;
            }
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    Ok(Holds {
        key,
        state,
        cursor: cursor.unwrap_or(0),
        count: count.unwrap_or(DEFAULT_COUNT),
    })
}

fn read_state(arg: &[u8]) -> Result<StateFilter, Failure> {
    match arg.to_ascii_uppercase().as_slice() {
        b"HELD" => Ok(StateFilter::Held),
        b"PREPARED" => Ok(StateFilter::Prepared),
        _ => Err(Failure::error(format!(
            "STATE must be HELD or PREPARED, got {}",
            quoted(arg)
        ))),
    }
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let Holds {
        key,
        state,
        cursor,
        count,
    } = parse(args)?;
    let open = context.open(key);
    let (next, holds) = match open.value::<Ledger>()? {
        Some(ledger) => {
            let page = ledger.holds_page(state, cursor, count as usize);
            (page.next, page.holds)
        }
        None => (0, Vec::new()),
    };
    // What is past due counts as gone, as in every reply.
    let now_ms = context.now_ms();
    let live = holds
        .into_iter()
        .map(|(_, hold)| hold)
        .filter(|hold| !hold.is_due(now_ms));
    Ok(Reply::Array(vec![
        Reply::Bulk(next.to_string().into_bytes()),
        Reply::Array(live.map(|hold| show(&hold)).collect()),
    ]))
}

fn show(hold: &Hold) -> Reply {
    let (state, time_ms) = match hold.state {
        State::Held { deadline_ms } => ("HELD", deadline_ms),
        State::Prepared { since_ms } => ("PREPARED", since_ms),
    };
    Reply::Array(vec![
        Reply::Bulk(hold.id.to_bytes()),
        Reply::Word(state),
        Reply::number(hold.quantity),
        Reply::number(time_ms),
    ])
}
