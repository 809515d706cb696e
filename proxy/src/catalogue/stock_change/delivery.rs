//! Bringing a recorded change to Redis, or taking it back where Redis may not apply it.

use crate::events::stock_event;
use crate::gateway::inventory::Word;
use crate::gateway::{self, Gateway};
use crate::store::inventory_logs::Logged;
use crate::store::{self, Store, Transaction, inventory_logs, outbox, products};

/// Changes looked up at a time.
const BATCH: u32 = 256;

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Redis has the change.
    Done,
    /// Buyers hold more units than would remain.
    BelowHeld,
}

/// What becomes of a change that would leave less than buyers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfBelowHeld {
    /// It is undone in MySQL, and its caller refused.
    Undo,
    /// It stands and waits for the holds to end: its caller was told so.
    Wait,
}

/// A delivery that did not end; it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// MySQL.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Delivers every change that Redis has not acknowledged, oldest first, and answers how many
/// it took. To be called at start and from time to time.
///
/// # Errors
/// When a server is away; what was not delivered stays for the next time.
pub async fn deliver_unacknowledged(store: &Store, gateway: &Gateway) -> Result<u64, Error> {
    let (mut delivered, mut after) = (0, 0);
    loop {
        let log_ids = store.unacknowledged_changes(after, BATCH).await?;
        let Some(last) = log_ids.last() else {
            return Ok(delivered);
        };
        after = *last;
        for log_id in log_ids {
            match deliver(store, gateway, log_id, IfBelowHeld::Wait).await {
                Ok(Delivery::Done) => delivered += 1,
                Ok(Delivery::BelowHeld) => {
                    tracing::info!(log_id, "a stock change waits for holds to end")
                }
                Err(Error::Gateway(error)) if error.has_prefix("NOSUCHSTOCK") => {
                    tracing::info!(log_id, "a stock change waits until its stock is made anew");
                }
                // One change that the server will not take must not keep the others waiting.
                Err(Error::Gateway(error @ gateway::Error::Refused { .. })) => {
                    tracing::error!(log_id, %error, "a stock change cannot be delivered");
                }
                // It waits for its server, and those of other servers do not.
                Err(Error::Gateway(gateway::Error::Away)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Delivers one change of the log. Its row is locked meanwhile, so that of two deliveries of one
/// change the second finds what the first has done.
pub(super) async fn deliver(
    store: &Store,
    gateway: &Gateway,
    log_id: i64,
    if_below_held: IfBelowHeld,
) -> Result<Delivery, Error> {
    let mut transaction = store.begin().await?;
    let change = match inventory_logs::lock(&mut transaction, log_id).await? {
        None => return Ok(Delivery::BelowHeld),
        Some(change) if change.delivered => return Ok(Delivery::Done),
        Some(change) => change,
    };
    let delivery = send(gateway, &change).await?;
    match (delivery, if_below_held) {
        (Delivery::Done, _) => inventory_logs::acknowledge(&mut transaction, log_id).await?,
        (Delivery::BelowHeld, IfBelowHeld::Undo) => undo(&mut transaction, log_id, &change).await?,
        (Delivery::BelowHeld, IfBelowHeld::Wait) => return Ok(delivery),
    }
    transaction.commit().await.map_err(store::Error::from)?;
    store.outbox_written();
    Ok(delivery)
}

async fn send(gateway: &Gateway, change: &Logged) -> Result<Delivery, gateway::Error> {
    let Logged {
        sku,
        delta,
        adjustment_id,
        ..
    } = change;
    let outcome = match gateway
        .adjust_stock(sku, *delta, adjustment_id.as_str())
        .await
    {
        // Where there was stock before, Redis has lost it, and the reconciler makes it anew.
        Err(error) if error.has_prefix("NOSUCHSTOCK") && change.is_first => {
            // Made from nothing and then adjusted, so that the change is applied once even if
            // another delivery makes the key at the same time (that one is told STALE).
            gateway.set_stock(sku, 0, 0).await?;
            gateway
                .adjust_stock(sku, *delta, adjustment_id.as_str())
                .await?
        }
        answered => answered?,
    };
    Ok(if outcome.word == Word::BelowHeld {
        Delivery::BelowHeld
    } else {
        Delivery::Done
    })
}

async fn undo(
    transaction: &mut Transaction,
    log_id: i64,
    change: &Logged,
) -> Result<(), store::Error> {
    let Logged {
        sku,
        delta,
        adjustment_id,
        ..
    } = change;
    // The change is younger than the product, and products are not deleted.
    let stock = products::lock_stock(transaction, sku)
        .await?
        .unwrap_or_default();
    products::add_stock(transaction, sku, -delta).await?;
    inventory_logs::delete(transaction, log_id).await?;
    let event = stock_event(sku, -delta, stock - delta, adjustment_id.as_str(), "undone");
    outbox::append(transaction, &[event]).await
}
