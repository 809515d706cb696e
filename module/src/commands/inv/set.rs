//! `INV.SET key on_hand [IF seq] [FORCE]`

use holdfast_stock::{Command, Ledger, MAX_UNITS, Policy};

use crate::args::{self, Bytes, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

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
            _ => return Err(options.unknown("IF seq and FORCE")),
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
    let decision = {
        let open = context.open(key);
        let absent = Ledger::default();
        let ledger = open.value::<Ledger>()?.unwrap_or(&absent);
        ledger.decide(&command, &Policy::default(), context.now_ms())?
    };
    stock::complete(context, key, &decision)
}
