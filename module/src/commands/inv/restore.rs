//! `INV.RESTORE key record…`, of which a rewritten AOF is made. All of its records are put under the key, or none.

use holdfast_stock::{Ledger, Record};

use crate::expiry;
use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};

pub(crate) fn run(context: &mut Context, args: &[Arg<'_>]) -> Result<Reply, Failure> {
    let [_, key, records @ ..] = args else {
        return Err(Failure::Arity);
    };
    let records: Vec<_> = records.iter().map(Arg::bytes).collect();
    let records = Record::all_from_args(&records)
        .map_err(|error| Failure::error(format!("this is no record: {error}")))?;
    context.open(key).value::<Ledger>()?;
    let db = context.selected_db();
    let mut restored = Ok(());
    if let Some(mut open) = context.open_mut(key) {
        let mut new = Ledger::default();
        let present = open.value::<Ledger>()?;
        let exists = present.is_some();
        let ledger = present.unwrap_or(&mut new);
        restored = ledger.restore_all(&records);
        expiry::note(db, key.bytes(), ledger);
        if !exists && new.seq() > 0 {
            open.put(new);
        }
    }
    restored.map_err(|error| {
        Failure::error(format!(
            "the records were refused at {}: {error}",
            quoted(key)
        ))
    })?;
    context.replicate_verbatim();
    Ok(Reply::Word("OK"))
}
