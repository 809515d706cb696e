//! MySQL: the tables, and each transaction as the SQL of the store means it.
//!
//! A transaction is done at once and whole, or not at all. One whose connection broke at COMMIT
//! is in limbo: nobody knows, and whoever needs a row that it has locked waits.

use std::hash::{Hash, Hasher};

use crate::alike::hash_in_any_order;
use crate::controls::Control;
use crate::machine::{End, Reason};
use crate::order::{self, Lines, OrderNo, SkuNo};
use crate::servers::group_commit;
use crate::world::LEASE_MS;

/// `orders.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Recorded, not decided.
    Pending,
    /// Not decided; the provider has told that it has the money.
    Paid,
    /// Sold.
    Confirmed,
    /// Called off.
    Cancelled,
    /// Given up because time ran out.
    Expired,
    /// Called off, and the money is back.
    Refunded,
    /// A person is needed.
    Parked,
}

/// `hold_outcomes.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Sold.
    Committed,
    /// Called off.
    Aborted,
}

/// A row of `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderRow {
    /// How far it is.
    pub status: Status,
    /// Why it came to nothing.
    pub reason: Option<Reason>,
    /// Nothing is left to do.
    pub settled: bool,
    /// Until when a saga runs it, in milliseconds.
    pub lease_until_ms: u64,
    /// Which saga recorded it.
    pub saga: u64,
    /// How often recovery has taken it up.
    pub attempts: u32,
    /// When it was placed, in milliseconds.
    pub created_ms: u64,
    /// What it is of.
    pub lines: Lines,
}

/// A row of `inventory_logs` that Redis must be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogRow {
    /// What changed.
    pub sku: SkuNo,
    /// By how much.
    pub delta: i64,
    /// Units of this order came back; else an operator changed the stock.
    pub returned: Option<OrderNo>,
    /// Redis has it.
    pub acknowledged: bool,
}

/// What Kafka orders by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An order's id.
    Order(OrderNo),
    /// A SKU.
    Sku(SkuNo),
}

/// `ce_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum EventType {
    SagaStarted,
    InventoryReserved,
    OrderCreated,
    PaymentProcessed,
    OrderConfirmed,
    PaymentFailed,
    InventoryReleased,
    OrderCancelled,
    OrderExpired,
    OrderRefunded,
    StockAdjusted,
}

/// An event with its unique id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// `ce_id`, and its place in the outbox.
    pub id: u64,
    /// What it is ordered by.
    pub key: Key,
    /// What happened.
    pub kind: EventType,
}

/// A row of `outbox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// What waits.
    pub event: Event,
    /// It waits for an operator.
    pub parked: bool,
}

/// One transaction, with what it needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transaction {
    /// Insert the order as PENDING.
    Record {
        /// Which.
        order: OrderNo,
        /// By which saga.
        saga: u64,
        /// Its Idempotency-Key.
        key: Option<u32>,
        /// Its lines.
        lines: Lines,
        /// When it was placed.
        created_ms: u64,
        /// Until when the saga runs it.
        lease_until_ms: u64,
    },
    /// Several of [`Transaction::Record`], or several of [`Transaction::Commit`], as one.
    Batch(Vec<Transaction>),
    /// Decide COMMITTED, confirm and deduct.
    Commit(OrderNo, Lines),
    /// Decide ABORTED and cancel.
    Abort(OrderNo, Reason),
    /// Cancel what was sold and restock it.
    Cancel(OrderNo, u64),
    /// The units that came back are in Redis.
    AcknowledgeReturn(OrderNo),
    /// The money is back.
    RecordRefund(OrderNo),
    /// A person is needed.
    Park(OrderNo),
    /// Nothing is left to do.
    Settle(OrderNo, End),
    /// A verified webhook says that the money is taken.
    Webhook(OrderNo, u64),
    /// An operator has a parked order tried again.
    RetryParked(OrderNo, u64),
    /// An operator changes the stock.
    Adjust(SkuNo, i64),
    /// Redis has the change of this row.
    Acknowledge(usize),
    /// Redis may not have the change of this row, so it is undone.
    Undo(usize),
    /// The outcome of a hold that nobody runs, where there is none.
    DecideOrphan(OrderNo),
    /// An event alone, for the control that writes it outside of its transaction.
    Tell(OrderNo, &'static [EventType]),
}

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done, now or before.
    Done,
    /// The Idempotency-Key belongs to another order.
    KeyTaken,
    /// Another saga has recorded the order.
    OrderExists,
    /// The stock guard refused.
    StockRefused,
    /// It was decided otherwise before.
    LostRace,
    /// There is nothing to be cancelled.
    TooLate,
}

/// The rows that a transaction locks.
#[derive(Debug, Default)]
struct Locks {
    orders: Vec<OrderNo>,
    /// A bit a product.
    skus: u64,
    keys: Vec<u32>,
}

impl Locks {
    fn meet(&self, other: &Self) -> bool {
        self.skus & other.skus != 0
            || self.orders.iter().any(|order| other.orders.contains(order))
            || self.keys.iter().any(|key| other.keys.contains(key))
    }
}

/// The tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MySql {
    /// `products.stock`.
    pub stock: Vec<i64>,
    /// `orders`, by number.
    pub orders: Vec<Option<OrderRow>>,
    /// `hold_outcomes`, by the order's number.
    pub outcomes: Vec<Option<Outcome>>,
    /// `idempotency_keys`.
    pub keys: Vec<(u32, OrderNo)>,
    /// `inventory_logs`, without the sales.
    pub logs: Vec<LogRow>,
    /// `outbox`.
    pub outbox: Vec<Waiting>,
    /// Transactions whose COMMIT nobody saw answered.
    pub limbo: Vec<Transaction>,
    /// Everything that happened to each order, for the checks alone.
    pub history: Vec<Vec<Change>>,
    next_event: u64,
}

/// What a transaction made of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was recorded.
    Recorded,
    /// It was sold.
    Sold,
    /// It was called off before.
    CalledOff(Reason),
    /// It was cancelled after.
    Returned,
    /// Its money was written down as given back.
    Refunded,
}

impl LogRow {
    /// `adjustment_id` of the row at this place.
    pub fn adjustment_id(&self, log: usize) -> String {
        match self.returned {
            Some(order) => order::return_id(order),
            None => format!("adjustment-{log}"),
        }
    }

    /// An undone change's row is deleted; an empty one keeps the others' places.
    pub fn is_undone(&self) -> bool {
        self.delta == 0
    }
}

impl MySql {
    /// Products with so much stock each.
    pub fn new(stock: &[u64]) -> Self {
        Self {
            stock: stock.iter().map(|units| *units as i64).collect(),
            ..Self::default()
        }
    }

    /// The row of an order.
    pub fn order(&self, order: OrderNo) -> Option<&OrderRow> {
        self.orders.get(order)?.as_ref()
    }

    /// What was decided of an order.
    pub fn outcome(&self, order: OrderNo) -> Option<Outcome> {
        self.outcomes.get(order).copied().flatten()
    }

    /// The order that a key belongs to.
    pub fn order_with(&self, key: u32) -> Option<OrderNo> {
        let row = self.keys.iter().find(|(known, _)| *known == key);
        row.map(|(_, order)| *order)
    }

    /// Whether a transaction in limbo has locked what this one needs.
    pub fn is_blocked(&self, transaction: &Transaction) -> bool {
        if self.limbo.is_empty() {
            return false;
        }
        let needed = self.locks(transaction);
        let mut limbo = self.limbo.iter();
        limbo.any(|other| self.locks(other).meet(&needed))
    }

    /// Whether a transaction in limbo has locked the order's row.
    pub fn is_locked(&self, order: OrderNo) -> bool {
        let mut limbo = self.limbo.iter();
        limbo.any(|transaction| self.locks(transaction).orders.contains(&order))
    }

    fn locks(&self, transaction: &Transaction) -> Locks {
        let mut locks = Locks::default();
        self.add_locks(transaction, &mut locks);
        locks
    }

    fn add_locks(&self, transaction: &Transaction, locks: &mut Locks) {
        let of = |lines: &Lines| lines.iter().fold(0, |bits, line| bits | 1 << line.sku);
        match transaction {
            Transaction::Batch(batch) => {
                for transaction in batch {
                    self.add_locks(transaction, locks);
                }
            }
            Transaction::Record { order, key, .. } => {
                locks.orders.push(*order);
                locks.keys.extend(*key);
            }
            Transaction::Commit(order, lines) => {
                locks.orders.push(*order);
                locks.skus |= of(lines);
            }
            Transaction::Cancel(order, _) => {
                locks.orders.push(*order);
                locks.skus |= self.order(*order).map_or(0, |row| of(&row.lines));
            }
            Transaction::Abort(order, _)
            | Transaction::AcknowledgeReturn(order)
            | Transaction::RecordRefund(order)
            | Transaction::Park(order)
            | Transaction::Settle(order, _)
            | Transaction::Webhook(order, _)
            | Transaction::RetryParked(order, _)
            | Transaction::DecideOrphan(order)
            | Transaction::Tell(order, _) => locks.orders.push(*order),
            Transaction::Adjust(sku, _) => locks.skus |= 1 << sku,
            Transaction::Acknowledge(log) | Transaction::Undo(log) => {
                locks.skus |= self.logs.get(*log).map_or(0, |row| 1 << row.sku);
            }
        }
    }

    /// Does the transaction, whole.
    pub fn execute(&mut self, transaction: &Transaction, control: Option<Control>) -> Reply {
        match transaction {
            Transaction::Batch(batch) => {
                self.execute_all(batch, control);
                Reply::Done
            }
            Transaction::Record { .. } => self.record(transaction),
            Transaction::Commit(order, lines) => self.commit(*order, lines, control),
            Transaction::Abort(order, reason) => self.abort(*order, *reason, control),
            Transaction::Cancel(order, lease_until_ms) => self.cancel(*order, *lease_until_ms),
            Transaction::AcknowledgeReturn(order) => {
                for row in &mut self.logs {
                    row.acknowledged |= row.returned == Some(*order);
                }
                Reply::Done
            }
            Transaction::RecordRefund(order) => self.record_refund(*order),
            Transaction::Park(order) => {
                self.update(*order, |row| {
                    if !row.settled && row.status != Status::Refunded {
                        row.status = Status::Parked;
                    }
                });
                Reply::Done
            }
            Transaction::Settle(order, end) => self.settle(*order, *end, control),
            Transaction::Webhook(order, now_ms) => {
                self.update(*order, |row| note_payment(row, *now_ms));
                Reply::Done
            }
            Transaction::RetryParked(order, now_ms) => self.retry_parked(*order, *now_ms),
            Transaction::Adjust(sku, delta) => self.adjust(*sku, *delta),
            Transaction::Acknowledge(log) => {
                self.logs[*log].acknowledged = true;
                Reply::Done
            }
            Transaction::Undo(log) => self.undo(*log),
            Transaction::DecideOrphan(order) => {
                if self.outcome(*order).is_none() {
                    *grown(&mut self.outcomes, *order) = Some(Outcome::Aborted);
                }
                Reply::Done
            }
            Transaction::Tell(order, kinds) => {
                self.tell(Key::Order(*order), kinds);
                Reply::Done
            }
        }
    }

    /// Does a batch, as the product's own decisions sift and admit it, and answers one each.
    pub fn execute_all(&mut self, batch: &[Transaction], control: Option<Control>) -> Vec<Reply> {
        let verdicts = self.verdicts(batch, control);
        let decided = batch.iter().zip(verdicts);
        decided
            .map(|(transaction, verdict)| match verdict {
                Some(reply) => reply,
                None => self.execute(transaction, control),
            })
            .collect()
    }

    /// What is answered without being written; `None` for what is to be written.
    fn verdicts(&self, batch: &[Transaction], control: Option<Control>) -> Vec<Option<Reply>> {
        match batch.first() {
            Some(Transaction::Record { .. }) => group_commit::sift(self, batch),
            // The guard that is missing is all that this is.
            Some(Transaction::Commit(..)) if control != Some(Control::NoStockGuard) => {
                group_commit::admit(self, batch)
            }
            _ => vec![None; batch.len()],
        }
    }

    fn record(&mut self, transaction: &Transaction) -> Reply {
        let Transaction::Record {
            order,
            saga,
            key,
            lines,
            created_ms,
            lease_until_ms,
        } = transaction
        else {
            return Reply::Done;
        };
        if let Some(row) = self.order(*order) {
            return if row.saga == *saga {
                Reply::Done
            } else {
                Reply::OrderExists
            };
        }
        if let Some(key) = key {
            if self.order_with(*key).is_some_and(|other| other != *order) {
                return Reply::KeyTaken;
            }
            self.keys.push((*key, *order));
        }
        *grown(&mut self.orders, *order) = Some(OrderRow {
            status: Status::Pending,
            reason: None,
            settled: false,
            lease_until_ms: *lease_until_ms,
            saga: *saga,
            attempts: 0,
            created_ms: *created_ms,
            lines: *lines,
        });
        self.note(*order, Change::Recorded);
        self.tell(Key::Order(*order), RECORDED);
        Reply::Done
    }

    fn commit(&mut self, order: OrderNo, lines: &Lines, control: Option<Control>) -> Reply {
        let decided = self.outcome(order);
        match decided {
            Some(Outcome::Committed) => return Reply::Done,
            Some(Outcome::Aborted) if control != Some(Control::NoOutcomeKey) => {
                return Reply::LostRace;
            }
            _ => {}
        }
        let short = |line: &order::Line| self.stock[line.sku] < line.quantity as i64;
        if control != Some(Control::NoStockGuard) && lines.iter().any(short) {
            return Reply::StockRefused;
        }
        *grown(&mut self.outcomes, order) = Some(Outcome::Committed);
        self.update(order, |row| {
            // Whoever parked it did not decide it.
            let open = matches!(row.status, Status::Pending | Status::Paid | Status::Parked);
            if open || control == Some(Control::NoOutcomeKey) {
                row.status = Status::Confirmed;
            }
        });
        for line in lines.iter() {
            self.stock[line.sku] -= line.quantity as i64;
        }
        self.note(order, Change::Sold);
        if control != Some(Control::EventOutsideTransaction) {
            self.tell(Key::Order(order), SOLD);
        }
        Reply::Done
    }

    fn abort(&mut self, order: OrderNo, reason: Reason, control: Option<Control>) -> Reply {
        match self.outcome(order) {
            Some(Outcome::Committed) if control != Some(Control::NoOutcomeKey) => {
                return Reply::LostRace;
            }
            Some(_) => {}
            None => *grown(&mut self.outcomes, order) = Some(Outcome::Aborted),
        }
        let called_off = if expires(reason) {
            Status::Expired
        } else {
            Status::Cancelled
        };
        let mut changed = false;
        self.update(order, |row| {
            let open = matches!(row.status, Status::Pending | Status::Paid);
            if open || control == Some(Control::NoOutcomeKey) && row.status == Status::Confirmed {
                row.status = called_off;
                row.reason = Some(reason);
                changed = true;
            }
        });
        if changed {
            self.note(order, Change::CalledOff(reason));
            self.tell(Key::Order(order), called_off_events(reason));
        }
        Reply::Done
    }

    fn cancel(&mut self, order: OrderNo, lease_until_ms: u64) -> Reply {
        let Some(row) = self.order(order) else {
            return Reply::TooLate;
        };
        let is_sold = self.outcome(order) == Some(Outcome::Committed);
        match row.status {
            Status::Confirmed if is_sold => {}
            Status::Cancelled | Status::Refunded if is_sold => return Reply::Done,
            _ => return Reply::TooLate,
        }
        let lines = row.lines;
        self.update(order, |row| {
            row.status = Status::Cancelled;
            row.reason = Some(Reason::CancelledByShopper);
            row.settled = false;
            row.attempts = 0;
            row.lease_until_ms = lease_until_ms;
        });
        for line in lines.iter() {
            self.stock[line.sku] += line.quantity as i64;
            self.logs.push(LogRow {
                sku: line.sku,
                delta: line.quantity as i64,
                returned: Some(order),
                acknowledged: false,
            });
        }
        self.note(order, Change::Returned);
        self.tell(Key::Order(order), RETURNED);
        Reply::Done
    }

    fn record_refund(&mut self, order: OrderNo) -> Reply {
        let mut changed = false;
        self.update(order, |row| {
            if matches!(
                row.status,
                Status::Cancelled | Status::Expired | Status::Parked
            ) {
                row.status = Status::Refunded;
                changed = true;
            }
        });
        if changed {
            self.note(order, Change::Refunded);
            self.tell(Key::Order(order), REFUNDED);
        }
        Reply::Done
    }

    fn settle(&mut self, order: OrderNo, end: End, control: Option<Control>) -> Reply {
        self.update(order, |row| {
            let fits = match end {
                End::Sold => row.status == Status::Confirmed,
                End::Undone | End::Returned => matches!(
                    row.status,
                    Status::Cancelled | Status::Expired | Status::Refunded
                ),
            };
            row.settled |= fits || control == Some(Control::SettleUnconditional);
        });
        Reply::Done
    }

    /// A parked order gets back the status that its outcome and its reason say.
    fn retry_parked(&mut self, order: OrderNo, now_ms: u64) -> Reply {
        let is_sold = self.outcome(order) == Some(Outcome::Committed);
        self.update(order, |row| {
            if row.settled || row.status != Status::Parked {
                return;
            }
            row.status = match row.reason {
                None if is_sold => Status::Confirmed,
                None => Status::Pending,
                Some(reason) if expires(reason) => Status::Expired,
                Some(_) => Status::Cancelled,
            };
            row.attempts = 0;
            row.lease_until_ms = now_ms;
        });
        Reply::Done
    }

    fn adjust(&mut self, sku: SkuNo, delta: i64) -> Reply {
        if self.stock[sku] + delta < 0 {
            return Reply::StockRefused;
        }
        self.stock[sku] += delta;
        self.logs.push(LogRow {
            sku,
            delta,
            returned: None,
            acknowledged: false,
        });
        self.tell(Key::Sku(sku), &[EventType::StockAdjusted]);
        Reply::Done
    }

    fn undo(&mut self, log: usize) -> Reply {
        let row = self.logs[log];
        if row.acknowledged {
            return Reply::Done;
        }
        self.stock[row.sku] -= row.delta;
        self.logs[log].delta = 0;
        self.logs[log].acknowledged = true;
        self.tell(Key::Sku(row.sku), &[EventType::StockAdjusted]);
        Reply::Done
    }

    fn update(&mut self, order: OrderNo, change: impl FnOnce(&mut OrderRow)) {
        if let Some(Some(row)) = self.orders.get_mut(order) {
            change(row);
        }
    }

    fn note(&mut self, order: OrderNo, change: Change) {
        grown(&mut self.history, order).push(change);
    }

    fn tell(&mut self, key: Key, kinds: &[EventType]) {
        for &kind in kinds {
            let id = self.next_event;
            self.next_event += 1;
            self.outbox.push(Waiting {
                event: Event { id, key, kind },
                parked: false,
            });
        }
    }
}

/// What a verified webhook changes that says that the money was taken.
fn note_payment(row: &mut OrderRow, now_ms: u64) {
    let soon_ms = row.lease_until_ms.min(now_ms + LEASE_MS);
    match row.status {
        Status::Pending | Status::Paid => {
            row.status = Status::Paid;
            row.lease_until_ms = soon_ms;
        }
        // What was called off is taken up again, to give the money back.
        Status::Cancelled | Status::Expired => {
            row.lease_until_ms = if row.settled { now_ms } else { soon_ms };
            row.settled = false;
        }
        Status::Confirmed | Status::Refunded | Status::Parked => return,
    }
    row.attempts = 0;
}

/// Whether an order that is called off for this reason ran out of time.
fn expires(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Abandoned | Reason::PaymentTimeout | Reason::HoldExpired
    )
}

const RECORDED: &[EventType] = &[
    EventType::SagaStarted,
    EventType::InventoryReserved,
    EventType::OrderCreated,
];
/// The events of a sale.
pub const SOLD: &[EventType] = &[EventType::PaymentProcessed, EventType::OrderConfirmed];
const RETURNED: &[EventType] = &[EventType::OrderCancelled];
const REFUNDED: &[EventType] = &[EventType::OrderRefunded];

fn called_off_events(reason: Reason) -> &'static [EventType] {
    use EventType as E;
    match (reason, expires(reason)) {
        (Reason::PaymentDeclined | Reason::PaymentFailed, _) => {
            &[E::PaymentFailed, E::InventoryReleased, E::OrderCancelled]
        }
        (Reason::PaymentTimeout, _) => &[E::PaymentFailed, E::InventoryReleased, E::OrderExpired],
        (_, true) => &[E::InventoryReleased, E::OrderExpired],
        (_, false) => &[E::InventoryReleased, E::OrderCancelled],
    }
}

impl Change {
    /// The events that tell of it.
    pub fn events(self) -> &'static [EventType] {
        match self {
            Change::Recorded => RECORDED,
            Change::Sold => SOLD,
            Change::CalledOff(reason) => called_off_events(reason),
            Change::Returned => RETURNED,
            Change::Refunded => REFUNDED,
        }
    }
}

fn grown<T: Default>(rows: &mut Vec<T>, at: usize) -> &mut T {
    if rows.len() <= at {
        rows.resize_with(at + 1, T::default);
    }
    &mut rows[at]
}

/// Without the ids of events, which only say in which order unrelated orders went on.
impl Hash for MySql {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.stock, &self.orders, &self.outcomes, &self.keys).hash(state);
        (&self.logs, &self.history).hash(state);
        hash_in_any_order(&self.limbo, state);
        let mut waiting: Vec<_> = (self.outbox.iter())
            .map(|row| (row.event.key, row.event.id, row.event.kind, row.parked))
            .collect();
        waiting.sort_unstable_by_key(|(key, id, ..)| (*key, *id));
        for (key, _, kind, parked) in waiting {
            (key, kind, parked).hash(state);
        }
    }
}
