//! What is wrong with one SKU, and what puts it right: a pure function of what Redis showed and
//! what one snapshot of MySQL showed after it.
//!
//! Let `expected` be `products.stock`, with the units of every sale that MySQL has deducted and
//! Redis has still to be told of, and without every change of the stock that it has still to be
//! told of. No step of an order or a change moves `on_hand - expected`: a commit takes units off
//! the stock and puts them to the sales that are still to be told, and telling takes them off
//! both sides. So a snapshot that is younger than the look at Redis is as good as one of the same
//! moment, as long as Redis has not changed in between, which its `seq` tells.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

/// What Redis showed of a SKU, all of it at one `seq`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// The key's version.
    pub seq: i64,
    /// Units in the house, not yet sold.
    pub on_hand: i64,
    /// Its live holds, as far as their ids are those of orders.
    pub live: Vec<LiveHold>,
    /// Of the orders that MySQL named and that hold nothing any more: those whose hold was
    /// confirmed or released, so that INV.CONFIRM sells nothing of it.
    pub over: HashSet<Uuid>,
    /// The ids of the changes that MySQL named and that it has.
    pub applied: HashSet<String>,
}

/// A hold that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveHold {
    /// The order it is for.
    pub order: Uuid,
    /// Units.
    pub quantity: i64,
    /// How far it is.
    pub state: LiveState,
}

/// How far a live hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveState {
    /// It runs against a deadline.
    Held,
    /// It waits for CONFIRM or RELEASE.
    Prepared,
    /// It has been prepared for longer than any proxy needs that has its lease.
    PreparedLong,
    /// It is prepared, and Redis may have forgotten the last that it was told.
    PreparedInDoubt,
}

/// What one snapshot of MySQL showed of a SKU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Unsold units.
    pub stock: i64,
    /// Changes of it that Redis has not acknowledged.
    pub unacknowledged: Vec<Change>,
    /// The orders that are unsettled and have a line of the SKU, and those that live holds name.
    pub orders: HashMap<Uuid, KnownOrder>,
}

/// A change of the stock other than by selling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Redis applies it once under this id.
    pub adjustment_id: String,
    /// Units.
    pub delta: i64,
    /// The order whose sale it takes back, if it is that.
    pub order: Option<Uuid>,
}

/// What the snapshot showed of one order, as far as one SKU is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownOrder {
    /// Units of the SKU; 0 when only its outcome is known.
    pub quantity: i64,
    /// What `hold_outcomes` says.
    pub outcome: Option<Outcome>,
    /// False while a saga or recovery has still to end its holds.
    pub is_settled: bool,
    /// True when it was sold and cancelled, and Redis has taken its units back.
    pub is_returned: bool,
    /// True while recovery confirms it with LATE.
    pub may_be_taken_again: bool,
}

/// The two words of `hold_outcomes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Sold: its units are off the stock.
    Committed,
    /// Called off, for ever.
    Aborted,
}

/// What a look at one SKU came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of the count.
    pub decision: Decision,
    /// Holds that nobody else will end.
    pub orphans: Vec<Orphan>,
}

impl Verdict {
    /// Whether the count is corrected before the orphans are ended. Fewer units must not fall on
    /// those that are sold; and while units are missing, not every sold hold can be confirmed.
    pub fn is_count_first(&self) -> bool {
        let adds_units = matches!(self.decision, Decision::Correct { delta, .. } if delta > 0);
        adds_units || self.orphans.is_empty()
    }
}

/// What is to be done about the count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is as it must be.
    Right,
    /// `INV.ADJUST delta IF seq`.
    Correct {
        /// Units to add, or to take off.
        delta: i64,
        /// The count after it.
        expected: i64,
        /// The version that this is true of.
        seq: i64,
    },
    /// Redis has no such key.
    Rebuild(Rebuild),
    /// Redis has changed while MySQL was read. To be looked at again.
    Again,
}

/// What a key is made of that Redis has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// `INV.SET on_hand IF 0`.
    pub on_hand: i64,
    /// `INV.PREPARE … LATE`, in this order: the orders in flight, so that nobody else gets their
    /// units.
    pub prepares: Vec<(Uuid, i64)>,
}

/// A hold that nobody else will end, and how it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Orphan {
    /// Its id, which is that of its order.
    #[serde(rename = "order_id")]
    pub order: Uuid,
    /// Its units.
    pub quantity: i64,
    /// What it comes to.
    pub end: End,
}

/// How an orphaned hold is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// `INV.CONFIRM`: its order was sold.
    Confirm,
    /// `INV.RELEASE`: its order was called off.
    Release,
    /// Nobody knows the order: ABORTED is written first, so that it can never be sold, and then
    /// it is released.
    AbortAndRelease,
}

/// Decides. `seq_after` is what Redis showed after the snapshot, `None` where it has no key.
pub fn decide(gate: Option<&Gate>, truth: &Truth, seq_after: Option<i64>) -> Verdict {
    let seq = gate.map(|gate| gate.seq);
    let (decision, orphans) = match gate {
        _ if seq != seq_after => (Decision::Again, Vec::new()),
        None => (Decision::Rebuild(rebuild(truth)), Vec::new()),
        Some(gate) => (judge(gate, truth), orphans(gate, truth)),
    };
    Verdict { decision, orphans }
}

/// What a key must be made of whose SKU has this truth.
pub fn rebuild(truth: &Truth) -> Rebuild {
    let mut in_flight: Vec<_> = truth
        .orders
        .iter()
        .filter(|(_, order)| !order.is_settled && !order.is_over() && order.quantity > 0)
        .map(|(id, order)| (!order.is_sold(), *id, order.quantity))
        .collect();
    // What is sold comes first; ids are in the order of time, so the older orders come next.
    in_flight.sort_unstable();
    let sold: i64 = in_flight
        .iter()
        .filter(|(is_unsold, ..)| !is_unsold)
        .map(|(.., quantity)| quantity)
        .sum();
    // What Redis has not acknowledged is delivered to the new key like to any other.
    let undelivered: i64 = truth.unacknowledged.iter().map(|change| change.delta).sum();
    let on_hand = truth.stock - undelivered + sold;
    Rebuild {
        on_hand: on_hand.max(0),
        prepares: in_flight
            .into_iter()
            .map(|(_, id, quantity)| (id, quantity))
            .collect(),
    }
}

fn judge(gate: &Gate, truth: &Truth) -> Decision {
    let undelivered = truth.unacknowledged.iter();
    let undelivered = undelivered.filter(|change| !gate.applied.contains(&change.adjustment_id));
    let undelivered: i64 = undelivered.map(|change| change.delta).sum();
    let expected = truth.stock - undelivered + sold_and_not_told(gate, truth);
    match expected - gate.on_hand {
        0 => Decision::Right,
        delta => Decision::Correct {
            delta,
            expected,
            seq: gate.seq,
        },
    }
}

/// Units that MySQL has sold and that an INV.CONFIRM will still take off `on_hand`.
fn sold_and_not_told(gate: &Gate, truth: &Truth) -> i64 {
    let is_sold = |id: &Uuid| truth.orders.get(id).is_some_and(KnownOrder::is_sold);
    let live = gate.live.iter().filter(|hold| is_sold(&hold.order));
    let live: i64 = live.map(|hold| hold.quantity).sum();
    let lost = gate.not_live(truth);
    let lost = lost.iter().filter(|(id, _)| !gate.over.contains(id));
    // What Redis has taken back it is not told again.
    let applied = truth.unacknowledged.iter();
    let applied = applied.filter(|change| gate.applied.contains(&change.adjustment_id));
    let returned: HashSet<Uuid> = applied.filter_map(|change| change.order).collect();
    let lost = lost.filter(|(id, _)| !returned.contains(id));
    let lost: i64 = lost.map(|(_, quantity)| quantity).sum();
    live + lost
}

fn orphans(gate: &Gate, truth: &Truth) -> Vec<Orphan> {
    let mut orphans: Vec<Orphan> = gate
        .live
        .iter()
        .filter_map(|hold| {
            let end = end_of(hold.state, truth.orders.get(&hold.order))?;
            Some(Orphan {
                order: hold.order,
                quantity: hold.quantity,
                end,
            })
        })
        .collect();
    orphans.sort_unstable_by_key(|orphan| orphan.order);
    orphans
}

/// How a live hold is to be ended; `None` while that is somebody else's to do.
fn end_of(state: LiveState, order: Option<&KnownOrder>) -> Option<End> {
    match (state, order) {
        (_, Some(order)) if !order.is_settled => None,
        (LiveState::Prepared, _) => None,
        // A failover has lost the sale; of one that is held, the preparation as well.
        (_, Some(order)) if order.is_sold() => Some(End::Confirm),
        (LiveState::Held, _) => None,
        (_, Some(order)) if order.is_over() => Some(End::Release),
        (LiveState::PreparedInDoubt, _) => None,
        (LiveState::PreparedLong, _) => Some(End::AbortAndRelease),
    }
}

impl Gate {
    /// The sold orders in flight whose hold is not live, with their units. Unless the hold is
    /// `over`, Redis has lost it or it ran out, and recovery takes it again to sell it.
    pub fn not_live(&self, truth: &Truth) -> Vec<(Uuid, i64)> {
        let live: HashSet<&Uuid> = self.live.iter().map(|hold| &hold.order).collect();
        let is_asked =
            |order: &KnownOrder| order.is_sold() && !order.is_settled && order.may_be_taken_again;
        let orders = truth.orders.iter().filter(|(_, order)| is_asked(order));
        let orders = orders.filter(|(id, _)| !live.contains(id));
        orders.map(|(id, order)| (*id, order.quantity)).collect()
    }
}

impl KnownOrder {
    /// True when its units are off the stock in MySQL and must go off Redis.
    fn is_sold(&self) -> bool {
        self.outcome == Some(Outcome::Committed) && !self.is_returned
    }

    /// True when nothing of it is sold or ever will be.
    fn is_over(&self) -> bool {
        self.outcome == Some(Outcome::Aborted) || self.is_returned
    }
}

#[cfg(test)]
#[path = "model/mod.rs"]
mod model;
#[cfg(test)]
#[path = "decision_properties.rs"]
mod properties;
#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
