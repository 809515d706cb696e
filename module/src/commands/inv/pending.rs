//! `INV.PENDING key min-age-ms [COUNT n]`

use holdfast_stock::Ledger;

use crate::args::{self, MAX_NUMBER, Options};
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply};

const DEFAULT_COUNT: u64 = 100;
const MAX_COUNT: u64 = 10_000;

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
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
            _ => return Err(options.unknown("COUNT n")),
        }
    }
    let open = context.open(key);
    let Some(ledger) = open.value::<Ledger>()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let now_ms = context.now_ms();
    let old = ledger
        .pending()
        .take_while(|(since_ms, _)| since_ms.saturating_add(min_age_ms) <= now_ms);
    let holds = old
        .take(count.unwrap_or(DEFAULT_COUNT) as usize)
        .map(|(since_ms, hold)| {
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
