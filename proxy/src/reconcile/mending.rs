//! Does what a verdict says. Whatever Redis or MySQL has changed meanwhile is left alone, and
//! looked at again.

use futures::future::try_join_all;

use super::decision::{Decision, End, Orphan};
use super::look::Sighting;
use super::{Error, Servers};
use crate::catalogue::Sku;
use crate::gateway::inventory::Word;

/// SKUs that are put right at once.
const AT_ONCE: usize = 32;

/// Does what the verdicts say, or a part of it that must come first.
pub(super) async fn mend(servers: &Servers, sightings: &[Sighting]) -> Result<(), Error> {
    for some in sightings.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|sighting| mend_one(servers, sighting))).await?;
    }
    Ok(())
}

async fn mend_one(servers: &Servers, sighting: &Sighting) -> Result<(), Error> {
    let Sighting { sku, verdict, .. } = sighting;
    if !verdict.is_count_first() {
        for orphan in &verdict.orphans {
            end(servers, sku, orphan).await?;
        }
        return Ok(());
    }
    match &verdict.decision {
        Decision::Correct {
            delta,
            expected,
            seq,
        } => {
            let corrected = servers.gateway.correct_stock(sku, *delta, *seq).await?;
            if corrected.is_some_and(|outcome| outcome.word == Word::Ok) {
                tracing::warn!(%sku, delta, on_hand = expected, "the stock in redis was corrected");
            }
        }
        Decision::Rebuild(rebuild) => {
            let (on_hand, prepares) = (rebuild.on_hand, &rebuild.prepares);
            let made = servers.gateway.rebuild_stock(sku, on_hand, prepares);
            if made.await? {
                let in_flight = prepares.len();
                tracing::debug!(%sku, on_hand, in_flight, "stock that redis did not have was made anew");
            }
        }
        Decision::Right | Decision::Again => {}
    }
    Ok(())
}

async fn end(servers: &Servers, sku: &Sku, orphan: &Orphan) -> Result<(), Error> {
    let Orphan {
        order,
        quantity,
        end,
    } = *orphan;
    if end == End::AbortAndRelease && !servers.store.abort_orphan(order).await? {
        return Ok(());
    }
    let is_sold = end == End::Confirm;
    let word = servers.gateway.end_hold(order, (sku, quantity), is_sold);
    let word = word.await?;
    tracing::warn!(%sku, %order, quantity, ?end, ?word, "a hold that nobody ended was ended");
    Ok(())
}
