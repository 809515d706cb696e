//! `INV.SET key on_hand [IF seq] [FORCE]`

use holdfast_stock::{Command, Ledger, MAX_UNITS};

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::commands::syntax::{FORCE, KEY, ONLY_IF, integer};
use crate::commands::{Access, Entry, Group, Keys, NO_TIPS, TAKE};
use crate::config;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) const ENTRY: Entry = Entry {
    name: "inv.set",
    group: Group::Inventory,
    flags: TAKE,
    keys: Keys::First(Access::Insert),
    arguments: &[KEY, integer("on_hand"), ONLY_IF, FORCE],
    complexity: "O(log n) in the key's holds",
    summary: "Sets how many units there are, creating the key.",
    tips: NO_TIPS,
    since: "0.1.0",
    parse: |args| parse(args).map(drop),
    run,
};

pub(crate) fn parse<A: Bytes>(args: &[A]) -> Result<(&A, Command), Failure> {
    let [_, key, on_hand, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let on_hand = args::number(on_hand, "on_hand", 0, MAX_UNITS)?;
    let (mut only_if, mut force) = (None, None);
    let mut options = Options::new(rest);
    while let Some(name) = options.next_name() {
        match name.as_slice() {
            b"IF" => {
                let seq = args::number(options.value()?, "seq", 0, MAX_NUMBER)?;
                options.once(&mut only_if, seq)?;
            }
            b"FORCE" => options.once(&mut force, ())?,
            _ => return Err(options.unknown(ENTRY.arguments)),
        }
    }
    let force = force.is_some();
    let command = Command::Set {
        on_hand,
        only_if,
        force,
    };
    Ok((key, command))
}

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let (key, command) = parse(args)?;
    let now_ms = context.now_ms();
    let decision = {
        let open = context.open(key);
        let absent = Ledger::default();
        let ledger = open.value::<Ledger>()?.unwrap_or(&absent);
        ledger.decide(&command, &config::policy(), now_ms)?
    };
    stock::complete(context, key, &decision, now_ms)
}
