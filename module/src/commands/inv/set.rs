//! `INV.SET key on_hand [IF seq] [FORCE]`

use holdfast_stock::{Command, Ledger, MAX_UNITS, Policy};

use crate::args::{self, MAX_NUMBER, Options};
use crate::commands::stock;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, on_hand, rest @ ..] = args else {
        return Err(Failure::Arity);
    };
    let on_hand = args::number(on_hand, "on_hand", 0, MAX_UNITS)?;
    let (only_if, force) = conditions(rest)?;
    let command = Command::Set {
        on_hand,
        only_if,
        force,
    };
    let decision = {
        let open = context.open(key);
        let absent = Ledger::default();
        open.value::<Ledger>()?.unwrap_or(&absent).decide(
            &command,
            &Policy::default(),
            context.now_ms(),
        )?
    };
    stock::complete(context, key, &decision)
}

/// `[IF seq] [FORCE]`
fn conditions(rest: &[Arg<'_>]) -> Result<(Option<u64>, bool), Failure> {
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
    Ok((only_if, force.is_some()))
}
