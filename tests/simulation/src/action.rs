//! What can happen.

use std::hash::{Hash, Hasher};

use holdfast_stock::Command;

use crate::order::{Card, Lines, OrderNo, SkuNo};
use crate::servers::provider::Request;
use crate::servers::redis::Call;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Its members are named for what they are.
#[allow(missing_docs)]
pub enum Action {
    /// Time passes.
    Wait(u64),
    /// A shopper buys.
    Buy {
        proxy: usize,
        lines: Lines,
        card: Card,
        key: Option<u32>,
        /// The proxy does not reach Redis, and orders are taken without it.
        without_redis: bool,
    },
    /// A shopper sends the same request again.
    BuyAgain { proxy: usize, order: OrderNo },
    /// A shopper has units held at checkout.
    TakeHold {
        lines: Lines,
        card: Card,
        fault: Fault,
    },
    /// A shopper gets more time.
    ExtendHold { order: OrderNo, fault: Fault },
    /// A shopper pays for what is held.
    ConfirmHold { proxy: usize, order: OrderNo },
    /// A shopper gives up what is held.
    ReleaseHold { order: OrderNo, fault: Fault },
    /// A shopper cancels an order.
    Cancel { proxy: usize, order: OrderNo },
    /// A saga goes on.
    Step {
        proxy: usize,
        saga: usize,
        fault: Fault,
    },
    /// A proxy writes what its sagas wait for.
    Write {
        proxy: usize,
        batch: Batch,
        most: usize,
        fault: Fault,
    },
    /// A proxy keeps its sagas.
    Renew { proxy: usize },
    /// A proxy takes up what was left.
    Recover { proxy: usize, most: usize },
    /// A proxy dies, and another begins in its place.
    Crash { proxy: usize },
    /// A proxy stands still, or goes on.
    Pause { proxy: usize, paused: bool },
    /// The replica gets nearer.
    Replicate { sku: SkuNo, changes: usize },
    /// The replica takes over, with its own clock.
    FailOver { skew_ms: u64 },
    /// Redis is emptied.
    Flush,
    /// The module's timer.
    Sweep { sku: SkuNo },
    /// A late command arrives.
    Arrive { message: usize },
    /// A late command does not.
    Vanish { message: usize },
    /// A transaction in limbo is found committed, or rolled back.
    Resolve { transaction: usize, committed: bool },
    /// The provider ends what it was at.
    Complete { order: OrderNo, well: bool },
    /// The provider tells of a payment.
    Webhook { order: OrderNo },
    /// A proxy takes the right to relay and reads rows; another may still be sending.
    ReadOutbox { proxy: usize, most: usize },
    /// Kafka takes the next row, or refuses it for good.
    Relay { proxy: usize, poisoned: bool },
    /// What Kafka has is removed.
    RemoveRelayed { proxy: usize },
    /// An operator has parked rows sent.
    Unpark,
    /// An operator changes stock.
    Adjust { sku: SkuNo, delta: i64 },
    /// Redis is told of a change of stock; where it may not have it, the change is undone.
    DeliverChange {
        log: usize,
        undo: bool,
        fault: Fault,
    },
    /// An operator has a parked order tried again.
    RetryParked { order: OrderNo },
    /// The reconciler reads a SKU in Redis.
    ReadLedger { proxy: usize, sku: SkuNo },
    /// The reconciler goes on: reads the same in MySQL, judges, mends.
    Reconcile { proxy: usize, fault: Fault },
}

/// What goes wrong with one call to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// It never arrives.
    Lost,
    /// It is done, and the answer is lost.
    ReplyLost,
    /// It arrives when nobody waits for it any more. A transaction is in limbo.
    Late,
    /// It is done, and arrives a second time later.
    Twice,
    /// It is known not to have been sent.
    NotSent,
    /// The server refuses it for good.
    Refused,
    /// The store loses its connection at COMMIT and does it again by itself.
    Again,
}

/// What is written for many sagas at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Batch {
    /// New orders.
    Record,
    /// Paid ones.
    Commit,
}

/// A command that may arrive late.
#[derive(Clone, Debug)]
pub enum Message {
    /// To Redis.
    Redis(Call),
    /// To the provider.
    Provider(Request),
}

impl Message {
    /// The SKU whose count it corrects, if it does.
    pub fn corrects(&self) -> Option<SkuNo> {
        match self {
            Message::Redis(Call::One(sku, Command::Adjust { only_if, .. })) => {
                only_if.map(|_| *sku)
            }
            _ => None,
        }
    }
}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{self:?}").hash(state);
    }
}
