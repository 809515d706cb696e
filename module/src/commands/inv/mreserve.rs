//! `INV.MRESERVE numkeys key [key ...] hold-id quantity [quantity ...] [PX ms | PXAT unix-ms]`

use std::collections::BTreeSet;

use holdfast_stock::{Command, Decision, Id, Ledger, Until, Word};

use crate::args::{self, Bytes};
use crate::commands::inv::reserve::deadline;
use crate::commands::syntax::{DEADLINE, HOLD_ID, KEY, QUANTITY, integer};
use crate::commands::{Access, Entry, Group, Keys, TAKE_OF_MANY, TELLS_TIME};
use crate::commands::{numkeys, stock};
use crate::config;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};
use crate::statistics;

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.mreserve",
    group: Group::Inventory,
    flags: TAKE_OF_MANY,
    keys: Keys::Counted(Access::Update),
    arguments: &[
        integer("numkeys"),
        KEY.multiple(),
        HOLD_ID,
        QUANTITY.multiple(),
        DEADLINE,
    ],
    complexity: "O(k log n) for k keys",
    summary: "Holds units of several keys, all or none.",
    tips: TELLS_TIME,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

/// The lines of an order, each on a key of its own.
pub(crate) struct Mreserve<'a, A> {
    id: Id,
    lines: Vec<(&'a A, u64)>,
    until: Until,
}

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<Mreserve<'_, A>, Failure> {
    let [_, numkeys_arg, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let numkeys = numkeys(numkeys_arg)?;
    let Some((keys, [id, rest @ ..])) = rest.split_at_checked(numkeys) else {
        return Err(Failure::Arity);
    };
    let Some((quantities, rest)) = rest.split_at_checked(numkeys) else {
        return Err(Failure::Arity);
    };
    let id = args::id(id, "hold id")?;
    let until = deadline(rest)?;
    let mut known = BTreeSet::new();
    for key in keys {
        let key: &[u8] = key;
        if !known.insert(key) {
            let key = quoted(key);
            return Err(Failure::error(format!(
                "key {key} is given twice; add its quantities up and give it once"
            )));
        }
    }
    let lines = keys
        .iter()
        .zip(quantities)
        .map(|(key, quantity)| Ok((key, args::quantity(quantity, "quantity")?)))
        .collect::<Result<_, Failure>>()?;
    Ok(Mreserve { id, lines, until })
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let asked = parse(args)?;
    let now_ms = context.now_ms();
    let policy = config::policy().shared_by(asked.lines.len());
    let mut lines = Vec::with_capacity(asked.lines.len());
    for (key, quantity) in asked.lines {
        let command = Command::Reserve {
            id: asked.id.clone(),
            quantity,
            until: asked.until,
        };
        lines.push((key, stock::decide(context, key, &command, &policy, now_ms)?));
    }

    if let Some(word) = lines
        .iter()
        .map(|(_, line)| line.word)
        .find(|word| *word != Word::Reserved)
    {
        return refuse(context, word, &lines, now_ms);
    }
    let mut replies = vec![Reply::Word(Word::Reserved.as_str())];
    for (key, line) in &lines {
        replies.push(stock::complete(context, key, line, now_ms)?);
    }
    Ok(Reply::Array(replies))
}

/// Nothing is taken on any line; those that would have been are answered with `OK`.
fn refuse(
    context: &Context,
    word: Word,
    lines: &[(&Arg<'_>, Decision)],
    now_ms: u64,
) -> Result<Reply, Failure> {
    let mut replies = vec![Reply::Word(word.as_str())];
    for (key, line) in lines {
        let open = context.open(key);
        let at_fault = line.word != Word::Reserved;
        let blank = Decision {
            word: Word::Ok,
            deadline_ms: 0,
            replayed: false,
            effects: Vec::new(),
        };
        let line = if at_fault { line } else { &blank };
        if at_fault {
            statistics::answered(line);
        }
        replies.push(stock::answer(
            line,
            line.word.as_str(),
            open.value::<Ledger>()?,
            now_ms,
        ));
    }
    Ok(Reply::Array(replies))
}
