//! Writing new orders down as PENDING.

use std::sync::Arc;

use serde_json::{Map, json};
use sqlx::{Connection, MySqlConnection};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::allowance::NotAllowed;
use super::super::orders::facts;
use super::super::{Error, Store, buyer_purchases};
use super::new_orders;
use super::queue::Work;
use super::sift::{Known, Newcomer, newcomers};
use crate::events::{Event, EventType};
use crate::gateway::inventory::Outcome;
use crate::orders::{Order, OrderLine};

/// What makes a request recognisable when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// As the client sent it.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub request_hash: [u8; 32],
    /// How long it is remembered, ms.
    pub expiry_ms: u64,
}

/// What became of writing down a new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is PENDING.
    Recorded,
    /// Its idempotency key belongs to an order that came first.
    KeyTaken,
    /// The order itself came before.
    OrderExists,
    /// Its buyer may not have so much.
    NotAllowed(NotAllowed),
}

impl Store {
    /// Writes the order as PENDING with its first events. `held` are the balances that Redis
    /// gave, a line each; `saga_id` tells a repetition from another saga of the same order.
    ///
    /// # Errors
    /// [`Error::Overloaded`]: nothing was written. Any other: it may or may not have been.
    pub async fn record_order(
        &self,
        order: &Order,
        saga_id: Uuid,
        key: Option<&IdempotencyKey>,
        held: &[Outcome],
        lease_ms: u64,
    ) -> Result<Recorded, Error> {
        let record = Record {
            events: beginning(order, held),
            order: order.clone(),
            saga_id,
            key: key.cloned(),
            lease_ms,
        };
        self.committers.record.try_write(record).await
    }
}

/// An order to be recorded.
pub struct Record {
    pub(super) order: Order,
    pub(super) saga_id: Uuid,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) lease_ms: u64,
    pub(super) events: [Event; 3],
}

/// Records orders.
pub struct Recording {
    outbox_wake: Arc<Notify>,
}

impl Recording {
    pub fn new(outbox_wake: Arc<Notify>) -> Self {
        Self { outbox_wake }
    }
}

impl Work for Recording {
    type Request = Record;
    type Answer = Recorded;

    fn weight(record: &Record) -> usize {
        record.order.lines.len()
    }

    async fn write(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Record],
        look: bool,
    ) -> Result<Vec<Recorded>, Error> {
        let known = if look {
            new_orders::known_of(connection, batch).await?
        } else {
            Known::default()
        };
        let batch_ids: Vec<_> = batch.iter().map(|record| record.newcomer()).collect();
        let mut verdicts = newcomers(&batch_ids, known);
        if verdicts.iter().any(Option::is_none) {
            self.record_all(connection, batch, &mut verdicts).await?;
        }
        let answers = verdicts.into_iter();
        Ok(answers
            .map(|verdict| verdict.unwrap_or(Recorded::Recorded))
            .collect())
    }
}

impl Recording {
    /// Records those that have no verdict yet, but for those whose buyers may not have so much:
    /// they get that for a verdict.
    async fn record_all(
        &self,
        connection: &mut MySqlConnection,
        batch: &[&Record],
        verdicts: &mut [Option<Recorded>],
    ) -> Result<(), Error> {
        let open = std::iter::zip(batch, verdicts).filter(|(_, verdict)| verdict.is_none());
        let (new, verdicts): (Vec<&Record>, Vec<&mut Option<Recorded>>) =
            open.map(|(record, verdict)| (*record, verdict)).unzip();
        let orders: Vec<(Uuid, &[OrderLine])> = new
            .iter()
            .map(|record| (record.order.user_id, record.order.lines.as_slice()))
            .collect();
        let mut transaction = connection.begin().await?;
        let (standing, refusals) = buyer_purchases::count(&mut transaction, &orders).await?;
        let mut allowed = Vec::with_capacity(new.len());
        for ((record, verdict), refusal) in new.into_iter().zip(verdicts).zip(refusals) {
            match refusal {
                None => allowed.push(record),
                Some(why) => *verdict = Some(Recorded::NotAllowed(why)),
            }
        }
        if allowed.is_empty() {
            return Ok(transaction.rollback().await?);
        }
        new_orders::insert(&mut transaction, allowed, &standing.limits).await?;
        transaction.commit().await?;
        self.outbox_wake.notify_one();
        Ok(())
    }
}

impl Record {
    fn newcomer(&self) -> Newcomer<'_> {
        Newcomer {
            order: self.order.id,
            saga: self.saga_id,
            key: self.scoped_key(),
        }
    }

    pub(super) fn scoped_key(&self) -> Option<(Uuid, &str)> {
        let key = self.key.as_ref()?;
        Some((self.order.user_id, key.key.as_str()))
    }
}

fn beginning(order: &Order, held: &[Outcome]) -> [Event; 3] {
    let balances = order.lines.iter().zip(held).map(|(line, outcome)| {
        json!({ "sku": line.sku, "available": outcome.available, "seq": outcome.seq })
    });
    let reserved = facts([("balances", balances.collect())]);
    [
        Event::of_order(EventType::SagaStarted, order, Map::new()),
        Event::of_order(EventType::InventoryReserved, order, reserved),
        Event::of_order(EventType::OrderCreated, order, Map::new()),
    ]
}
