//! Stock changes other than by selling: first in MySQL, which is the truth, then in Redis.
//!
//! A change is recorded with its event in one transaction, as not acknowledged by Redis. Then it
//! is delivered: `INV.ADJUST` under the change's id, so that however often it is sent it is
//! applied once. What a crash or an absent Redis leaves undelivered, [`deliver_unacknowledged`]
//! delivers later. A delivery locks its row of the log, so that no two of them can disagree on
//! whether the change was applied or taken back.

mod decision;
mod delivery;

use crate::catalogue::Sku;
use crate::events::stock_event;
use crate::gateway::Gateway;
use crate::store::{self, Store, inventory_logs, outbox, products};

pub use decision::{AdjustmentId, Amount, Earlier, InvalidAdjustmentId, MAX_STOCK, Reason};
pub use delivery::deliver_unacknowledged;

use decision::{Conflict, Decision, decide};
use delivery::{Delivery, IfBelowHeld};

/// How often a transaction that lost a deadlock is tried before the caller is told.
const ATTEMPTS: usize = 5;

/// A change that the caller named, so that repeating it is safe.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// Whose stock changes.
    pub sku: Sku,
    /// Units more, or fewer when negative; not 0.
    pub delta: i64,
    /// Applied once under this id, for this SKU.
    pub adjustment_id: AdjustmentId,
    /// Why.
    pub reason: Reason,
}

/// A change that stands in MySQL.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Adjusted {
    /// Whose stock changed.
    pub sku: Sku,
    /// The id of the change; null when the count was right already.
    pub adjustment_id: Option<AdjustmentId>,
    /// Units added.
    pub delta: i64,
    /// Unsold units after it.
    pub stock_after: i64,
    /// False while Redis is away: it gets the change when it is back.
    pub delivered: bool,
}

/// A change that was not made; nothing is different from before.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The catalogue does not have the product.
    #[error("there is no product {0}")]
    UnknownProduct(Sku),
    /// The id stands for another change of this product.
    #[error("adjustment '{}' of {sku} was made before with another delta or reason; use another id", .id.as_str())]
    Mismatch {
        /// The product.
        sku: Sku,
        /// The id.
        id: AdjustmentId,
    },
    /// The count would not be from 0 to [`MAX_STOCK`].
    #[error("{sku} has {stock} unsold units; the change must leave from 0 to {MAX_STOCK}")]
    OutOfRange {
        /// The product.
        sku: Sku,
        /// Its unsold units now.
        stock: i64,
    },
    /// Buyers hold more than would remain.
    #[error("buyers hold more units of {0} than would remain; wait until holds end, or take fewer")]
    BelowHeld(Sku),
    /// The database gave no answer; the same change may be sent again.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Changes stock by a delta, once for each adjustment id.
pub async fn adjust(
    store: &Store,
    gateway: &Gateway,
    adjustment: &Adjustment,
) -> Result<Adjusted, Refusal> {
    let Adjustment {
        sku,
        delta,
        adjustment_id,
        reason,
    } = adjustment;
    change(
        store,
        gateway,
        sku,
        Amount::By(*delta),
        *reason,
        adjustment_id,
    )
    .await
}

/// Sets the number of unsold units, as a count in the house found it.
pub async fn set(
    store: &Store,
    gateway: &Gateway,
    sku: &Sku,
    on_hand: i64,
) -> Result<Adjusted, Refusal> {
    change(
        store,
        gateway,
        sku,
        Amount::To(on_hand),
        Reason::Corrected,
        &AdjustmentId::unique(),
    )
    .await
}

async fn change(
    store: &Store,
    gateway: &Gateway,
    sku: &Sku,
    amount: Amount,
    reason: Reason,
    id: &AdjustmentId,
) -> Result<Adjusted, Refusal> {
    let recorded = record(store, sku, amount, reason, id).await?;
    let mut adjusted = Adjusted {
        sku: sku.clone(),
        adjustment_id: recorded.log_id.map(|_| id.clone()),
        delta: recorded.delta,
        stock_after: recorded.stock_after,
        delivered: recorded.delivered,
    };
    if let (Some(log_id), false) = (recorded.log_id, recorded.delivered) {
        adjusted.delivered =
            match delivery::deliver(store, gateway, log_id, IfBelowHeld::Undo).await {
                Ok(Delivery::Done) => true,
                Ok(Delivery::BelowHeld) => return Err(Refusal::BelowHeld(sku.clone())),
                Err(error) => {
                    tracing::warn!(%sku, %error, "a stock change waits for redis");
                    false
                }
            };
    }
    Ok(adjusted)
}

/// A change as the log has it.
struct Recorded {
    log_id: Option<i64>,
    delta: i64,
    stock_after: i64,
    delivered: bool,
}

async fn record(
    store: &Store,
    sku: &Sku,
    amount: Amount,
    reason: Reason,
    id: &AdjustmentId,
) -> Result<Recorded, Refusal> {
    let mut attempt = 1;
    loop {
        match try_record(store, sku, amount, reason, id).await {
            Err(Refusal::Store(error)) if error.is_lock_conflict() && attempt < ATTEMPTS => {
                attempt += 1
            }
            decided => return decided,
        }
    }
}

async fn try_record(
    store: &Store,
    sku: &Sku,
    amount: Amount,
    reason: Reason,
    id: &AdjustmentId,
) -> Result<Recorded, Refusal> {
    let mut transaction = store.begin().await?;
    let Some(stock) = products::lock_stock(&mut transaction, sku).await? else {
        return Err(Refusal::UnknownProduct(sku.clone()));
    };
    let earlier = inventory_logs::find(&mut transaction, sku, id).await?;
    let decision = decide(stock, amount, reason, earlier).map_err(|conflict| match conflict {
        Conflict::Mismatch => Refusal::Mismatch {
            sku: sku.clone(),
            id: id.clone(),
        },
        Conflict::OutOfRange => Refusal::OutOfRange {
            sku: sku.clone(),
            stock,
        },
    })?;
    let (delta, stock_after) = match decision {
        Decision::Nothing => {
            return Ok(Recorded {
                log_id: None,
                delta: 0,
                stock_after: stock,
                delivered: true,
            });
        }
        Decision::Repeat(Earlier {
            log_id,
            delta,
            stock_after,
            delivered,
            ..
        }) => {
            return Ok(Recorded {
                log_id: Some(log_id),
                delta,
                stock_after,
                delivered,
            });
        }
        Decision::Apply { delta, stock_after } => (delta, stock_after),
    };
    products::add_stock(&mut transaction, sku, delta).await?;
    let log_id =
        inventory_logs::insert(&mut transaction, sku, (delta, stock_after), reason, id).await?;
    let event = stock_event(sku, delta, stock_after, id.as_str(), reason.as_str());
    outbox::append(&mut transaction, &[event]).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    store.outbox_written();
    Ok(Recorded {
        log_id: Some(log_id),
        delta,
        stock_after,
        delivered: false,
    })
}
