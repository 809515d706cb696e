//! What the stock commands share: decide on a key, change it, answer.

use holdfast_stock::{Command, Decision, Effect, Ledger, Policy};

use crate::ffi::{Arg, Context};
use crate::reply::{Failure, Reply, quoted};
use crate::{config, expiry, notifications, replicate, statistics};

/// Runs a command on a key that must exist.
pub(crate) fn run(
    context: &mut Context,
    key: &Arg<'_>,
    command: &Command,
) -> Result<Reply, Failure> {
    let now_ms = context.now_ms();
    let decision = decide(context, key, command, &config::policy(), now_ms)?;
    complete(context, key, &decision, now_ms)
}

/// What the command comes to on a key that must exist; nothing is changed.
pub(crate) fn decide(
    context: &Context,
    key: &Arg<'_>,
    command: &Command,
    policy: &Policy,
    now_ms: u64,
) -> Result<Decision, Failure> {
    let open = context.open(key);
    let ledger = open
        .value::<Ledger>()?
        .ok_or_else(|| Failure::no_stock(key))?;
    Ok(ledger.decide(command, policy, now_ms)?)
}

/// Makes the decision true and answers with it, as of the time at which it was decided: a hold that fell due in between
/// would make the answer contradict itself.
pub(crate) fn complete(
    context: &mut Context,
    key: &Arg<'_>,
    decision: &Decision,
    now_ms: u64,
) -> Result<Reply, Failure> {
    if !decision.effects.is_empty() {
        change(context, key, &decision.effects)?;
    }
    statistics::answered(decision);
    let open = context.open(key);
    Ok(answer(
        decision,
        decision.word.as_str(),
        open.value::<Ledger>()?,
        now_ms,
    ))
}

/// The five elements that answer every command that changes stock.
pub(crate) fn answer(
    decision: &Decision,
    word: &'static str,
    ledger: Option<&Ledger>,
    now_ms: u64,
) -> Reply {
    let (available, seq) = ledger.map_or((0, 0), |ledger| (ledger.available(now_ms), ledger.seq()));
    Reply::Array(vec![
        Reply::Word(word),
        Reply::number(available),
        Reply::number(seq),
        Reply::number(decision.deadline_ms),
        Reply::Integer(decision.replayed.into()),
    ])
}

/// Applies effects to the stock under the key, creating it for the first count, and replicates them.
pub(crate) fn change(
    context: &mut Context,
    key: &Arg<'_>,
    effects: &[Effect],
) -> Result<(), Failure> {
    let mut applied = Vec::with_capacity(effects.len());
    let result = change_only(context, key, effects, |seq, effect| {
        applied.push((seq, effect.clone()))
    });
    for (seq, effect) in &applied {
        replicate::stock(context, key, *seq, effect);
    }
    if !applied.is_empty() {
        notifications::stock_changed(context, key);
    }
    result
}

/// Applies effects as [`change`] does, and passes those that were applied on instead of replicating them. Both tell of
/// each in the keyspace.
pub(crate) fn change_only(
    context: &mut Context,
    key: &Arg<'_>,
    effects: &[Effect],
    mut applied: impl FnMut(u64, &Effect),
) -> Result<(), Failure> {
    let mut count = 0;
    let written = write(context, key, |ledger| {
        for effect in effects {
            ledger
                .apply(effect)
                .map_err(|inconsistent| (effect, inconsistent))?;
            applied(ledger.seq(), effect);
            count += 1;
        }
        Ok(())
    })?;
    for effect in effects.iter().take(count) {
        context.notify(notifications::stock_event(effect), key);
    }
    written.map_err(|(effect, inconsistent)| {
        let key = quoted(key);
        context.warn(&format!(
            "holdfast: effect {effect:?} was refused on {key}: {inconsistent}"
        ));
        Failure::error(format!("the effect was refused on {key}: {inconsistent}"))
    })
}

/// Lets `write` change the ledger under the key, or a new one that stays if it gets counted, and notes when something
/// falls due in it next.
pub(crate) fn write<E>(
    context: &mut Context,
    key: &Arg<'_>,
    write: impl FnOnce(&mut Ledger) -> Result<(), E>,
) -> Result<Result<(), E>, Failure> {
    let db = context.selected_db();
    let mut open = context.open_mut(key)?;
    let mut new = Ledger::default();
    let present = open.value::<Ledger>()?;
    let exists = present.is_some();
    let ledger = present.unwrap_or(&mut new);
    let (seq, before) = (ledger.seq(), ledger.totals());
    let written = write(ledger);
    if exists {
        statistics::changed(&before, &ledger.totals());
    }
    // A ledger that refused is not noted: the sweep would come back to it at once, and for ever.
    if written.is_ok() || ledger.seq() != seq {
        expiry::note(db, key.bytes(), ledger);
    }
    if !exists && new.seq() > 0 {
        open.put(new);
    }
    Ok(written)
}
