//! A shop of one SKU: the real ledger beside modelled tables, orders at any step of theirs, and
//! servers that lose what they knew. The reconciler looks and mends in between, a step at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use holdfast_stock::{Command, Ending, Id, Ledger, Policy, Standing, State, Until, Word};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Change, Decision, End, Gate, KnownOrder, LiveHold, LiveState, Orphan, Outcome, Truth, Verdict,
};

/// Units at the beginning.
pub const UNITS: i64 = 12;
const HOLD_MS: u64 = 15_000;
const ORPHAN_AGE_MS: u64 = 15_000;
const TAKEN_AGAIN_MS: u64 = 3_000_000;

/// What may happen next. A number picks one of those there are.
#[derive(Debug, Clone)]
pub enum Step {
    /// A buyer reserves.
    Begin(i64),
    /// An order takes its next step.
    Advance(usize),
    /// An order is called off, or cancelled after it was sold.
    Undo(usize),
    /// The shop changes its stock.
    Adjust(i64),
    /// Redis gets a change.
    Deliver(usize),
    /// MySQL hears that Redis has a change.
    Acknowledge(usize),
    /// Time passes, ms.
    Wait(u64),
    /// The reconciler takes its next step: looks at Redis, at MySQL, at Redis again, mends.
    Reconcile,
    /// A replica of Redis has come this far.
    Replicate,
    /// That replica takes over.
    FailOver,
    /// `FLUSHALL`.
    Flush,
    /// Somebody moves the count by hand.
    Tamper(i64),
}

/// Steps of a shop where nothing is lost.
pub fn lossless() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=4i64).prop_map(Step::Begin),
        16 => (0..20usize).prop_map(Step::Advance),
        2 => (0..20usize).prop_map(Step::Undo),
        1 => (-4..=6i64).prop_map(Step::Adjust),
        2 => (0..6usize).prop_map(Step::Deliver),
        2 => (0..6usize).prop_map(Step::Acknowledge),
        1 => prop_oneof![1..1_000u64, 10_000..20_000u64, 1_000_000..4_000_000u64].prop_map(Step::Wait),
        12 => Just(Step::Reconcile),
    ]
}

/// Steps of a shop whose Redis loses things.
pub fn lossy() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => lossless(),
        2 => Just(Step::Replicate),
        1 => Just(Step::FailOver),
        1 => Just(Step::Flush),
        1 => (-3..=3i64).prop_map(Step::Tamper),
    ]
}

/// How far an order's saga is; each names what it does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Record,
    Prepare,
    Commit,
    Confirm,
    Return,
    Release,
    Settle,
    Over,
}

#[derive(Debug, Clone)]
struct Order {
    quantity: i64,
    created_ms: u64,
    stage: Stage,
    is_recorded: bool,
    outcome: Option<Outcome>,
    is_settled: bool,
}

#[derive(Debug, Clone)]
struct Logged {
    id: String,
    delta: i64,
    order: Option<Uuid>,
    is_acknowledged: bool,
}

/// Redis, and what it has that its ledger does not show.
#[derive(Clone, Default)]
struct Redis {
    ledger: Option<Ledger>,
    applied: BTreeSet<String>,
}

/// How far the reconciler is.
#[derive(Default)]
enum Look {
    #[default]
    None,
    Gate(Option<Gate>),
    Both(Option<Gate>, Truth),
    Verdict(Verdict),
}

/// Everything there is.
pub struct World {
    now_ms: u64,
    stock: i64,
    orders: BTreeMap<Uuid, Order>,
    changes: Vec<Logged>,
    redis: Redis,
    replica: Redis,
    look: Look,
    decide: fn(Option<&Gate>, &Truth, Option<i64>) -> Verdict,
    /// True when what Redis must show has changed since the reconciler began to look, though Redis
    /// has not. Only an order whose hold is lost can do that: when it grows too old to be taken
    /// again, is given up, or is taken up again to be cancelled.
    pub is_outdated: bool,
    /// What the reconciler did, and whether the count was as it had to be then.
    pub mended: Vec<(Decision, bool)>,
    /// Orphans that it ended.
    pub ended: usize,
}

impl World {
    /// A shop that nobody has bought in.
    pub fn new(decide: fn(Option<&Gate>, &Truth, Option<i64>) -> Verdict) -> Self {
        let mut world = Self {
            now_ms: 1_000_000,
            stock: UNITS,
            orders: BTreeMap::new(),
            changes: Vec::new(),
            redis: Redis::default(),
            replica: Redis::default(),
            look: Look::None,
            is_outdated: false,
            decide,
            mended: Vec::new(),
            ended: 0,
        };
        world.set(UNITS);
        world.replica = world.redis.clone();
        world
    }

    pub fn take(&mut self, step: &Step) {
        let before = (self.seq(), self.expected());
        self.take_step(step);
        let after = (self.seq(), self.expected());
        self.is_outdated |= before.0 == after.0 && before.1 != after.1;
        self.is_outdated &= !matches!(self.look, Look::None);
    }

    fn take_step(&mut self, step: &Step) {
        match *step {
            Step::Begin(quantity) => self.begin(quantity),
            Step::Advance(number) => self.with_order(number, Self::advance),
            Step::Undo(number) => self.with_order(number, Self::undo),
            Step::Adjust(delta) if delta != 0 && self.stock + delta >= 0 => {
                self.change(format!("change-{}", self.changes.len()), delta, None);
            }
            Step::Adjust(_) => {}
            Step::Deliver(number) => self.with_change(number, Self::deliver),
            Step::Acknowledge(number) => self.with_change(number, Self::acknowledge),
            Step::Wait(ms) => self.now_ms += ms,
            Step::Reconcile => self.reconcile(),
            Step::Replicate => self.replica = self.redis.clone(),
            // A ledger that has lost its last changes may come to the same version by another
            // way, so a look is not carried across; the shell's takes milliseconds.
            Step::FailOver => (self.redis, self.look) = (self.replica.clone(), Look::None),
            Step::Flush => self.redis = Redis::default(),
            Step::Tamper(delta) => {
                self.tell(Command::Adjust {
                    delta: if delta == 0 { 1 } else { delta },
                    id: None,
                    only_if: None,
                    force: true,
                });
            }
        }
    }

    /// Everybody finishes what is begun, changes are delivered, and the reconciler walks a few
    /// times.
    pub fn come_to_rest(&mut self) {
        self.look = Look::None;
        for _ in 0..6 {
            for number in 0..self.changes.len() {
                self.deliver(number);
                self.acknowledge(number);
            }
            let orders: Vec<Uuid> = self.orders.keys().copied().collect();
            for order in orders {
                for _ in 0..8 {
                    self.advance(order);
                }
            }
            self.now_ms += 2 * HOLD_MS;
            for _ in 0..4 * 4 {
                self.reconcile();
            }
        }
    }

    /// What is not as it must be at rest.
    pub fn faults(&self) -> Vec<String> {
        let sold: i64 = self
            .orders
            .iter()
            .filter(|(id, order)| order.is_sold() && self.return_of(id).is_none())
            .map(|(_, order)| order.quantity)
            .sum();
        let adjusted: i64 = self
            .changes
            .iter()
            .filter(|change| change.order.is_none())
            .map(|change| change.delta)
            .sum();
        let ledger = self
            .redis
            .ledger
            .as_ref()
            .map(|ledger| ledger.summary(self.now_ms));
        let shown = ledger.map(|summary| (summary.on_hand as i64, summary.held as i64));
        let mut faults = Vec::new();
        if self.stock != UNITS + adjusted - sold || self.stock < 0 {
            faults.push(format!(
                "mysql has {} of {UNITS}, {adjusted} more, {sold} sold",
                self.stock
            ));
        }
        if shown != Some((self.stock, 0)) {
            faults.push(format!("redis shows {shown:?}, mysql {}", self.stock));
        }
        if self.orders.values().any(|order| order.stage != Stage::Over) {
            faults.push("an order is unfinished".into());
        }
        faults
    }

    /// What Redis must show now, with everything known.
    fn expected(&self) -> i64 {
        let missing =
            |change: &&Logged| !change.is_acknowledged && !self.redis.applied.contains(&change.id);
        let missing: i64 = self
            .changes
            .iter()
            .filter(missing)
            .map(|change| change.delta)
            .sum();
        let truth = self.truth(None);
        let told = |order: &Uuid, known: &KnownOrder| {
            let sold = known.outcome == Some(Outcome::Committed) && !known.is_returned;
            match self.standing(*order) {
                _ if !sold => 0,
                Some(Standing::Live(hold)) => hold.quantity as i64,
                Some(Standing::Finished(end)) if end.ending != Ending::Expired => 0,
                _ if known.is_settled || !known.may_be_taken_again => 0,
                _ => known.quantity,
            }
        };
        let told: i64 = truth.orders.iter().map(|(id, order)| told(id, order)).sum();
        self.stock - missing + told
    }

    fn begin(&mut self, quantity: i64) {
        let id = Uuid::from_u128(1 + self.orders.len() as u128);
        let reserved = self.tell(Command::Reserve {
            id: named(id),
            quantity: quantity as u64,
            until: Until::In(HOLD_MS),
        });
        let stage = match reserved {
            Some(Word::Reserved) => Stage::Record,
            _ => Stage::Over,
        };
        let order = Order {
            quantity,
            created_ms: self.now_ms,
            stage,
            is_recorded: false,
            outcome: None,
            is_settled: true,
        };
        self.orders.insert(id, order);
    }

    fn advance(&mut self, id: Uuid) {
        let Some(mut order) = self.orders.remove(&id) else {
            return;
        };
        order.stage = match order.stage {
            Stage::Record => {
                (order.is_recorded, order.is_settled) = (true, false);
                Stage::Prepare
            }
            Stage::Prepare => match self.tell(prepare(id, order.quantity)) {
                Some(Word::Prepared) => Stage::Commit,
                _ => order.abort(),
            },
            Stage::Commit if order.outcome.is_some() => Stage::Release,
            Stage::Commit if self.stock >= order.quantity => {
                order.outcome = Some(Outcome::Committed);
                self.stock -= order.quantity;
                Stage::Confirm
            }
            Stage::Commit => order.abort(),
            Stage::Confirm => match self.tell(self.confirm(id, &order)) {
                None => Stage::Confirm,
                Some(_) if self.return_of(&id).is_some() => Stage::Return,
                Some(_) => Stage::Settle,
            },
            Stage::Return => self.give_back(id, &order),
            Stage::Release => {
                self.tell(Command::Release { id: named(id) });
                Stage::Settle
            }
            Stage::Settle => {
                order.is_settled = true;
                Stage::Over
            }
            Stage::Over => Stage::Over,
        };
        self.orders.insert(id, order);
    }

    fn undo(&mut self, id: Uuid) {
        let Some(mut order) = self.orders.remove(&id) else {
            return;
        };
        match order.stage {
            Stage::Record | Stage::Prepare | Stage::Commit => order.stage = order.abort(),
            Stage::Confirm | Stage::Settle | Stage::Over
                if order.is_sold() && self.return_of(&id).is_none() =>
            {
                self.change(format!("return-{id}"), order.quantity, Some(id));
                order.stage = Stage::Confirm;
                order.is_settled = false;
            }
            _ => {}
        }
        self.orders.insert(id, order);
    }

    /// INV.RETURN, or where the sale is forgotten INV.ADJUST under the same id.
    fn give_back(&mut self, id: Uuid, order: &Order) -> Stage {
        let Some(number) = self
            .changes
            .iter()
            .position(|change| change.order == Some(id))
        else {
            return Stage::Settle;
        };
        if self.changes[number].is_acknowledged {
            return Stage::Settle;
        }
        let returned = self.tell(Command::Return {
            id: named(id),
            return_id: text(&self.changes[number].id),
            quantity: order.quantity as u64,
        });
        match returned {
            Some(Word::Returned) => {
                self.redis.applied.insert(self.changes[number].id.clone());
            }
            // Not sold, so nothing comes back: as if it had been told of both.
            Some(Word::Released | Word::UnknownHold | Word::Expired) => self.deliver(number),
            _ => return Stage::Confirm,
        }
        self.changes[number].is_acknowledged =
            self.redis.applied.contains(&self.changes[number].id);
        if self.changes[number].is_acknowledged {
            Stage::Settle
        } else {
            Stage::Return
        }
    }

    fn change(&mut self, id: String, delta: i64, order: Option<Uuid>) {
        self.stock += delta;
        self.changes.push(Logged {
            id,
            delta,
            order,
            is_acknowledged: false,
        });
    }

    fn deliver(&mut self, number: usize) {
        let Logged { id, delta, .. } = self.changes[number].clone();
        let told = self.tell(Command::Adjust {
            delta,
            id: Some(text(&id)),
            only_if: None,
            force: false,
        });
        if told == Some(Word::Ok) {
            self.redis.applied.insert(id);
        }
    }

    fn acknowledge(&mut self, number: usize) {
        let change = &mut self.changes[number];
        change.is_acknowledged |= self.redis.applied.contains(&change.id);
    }

    fn reconcile(&mut self) {
        self.look = match std::mem::take(&mut self.look) {
            Look::None => Look::Gate(self.gate()),
            Look::Gate(gate) => {
                let truth = self.truth(gate.as_ref());
                Look::Both(gate, truth)
            }
            Look::Both(mut gate, truth) => {
                if let Some(gate) = &mut gate {
                    gate.over = self.over(gate, &truth);
                    gate.applied = self.redis.applied.iter().cloned().collect();
                }
                Look::Verdict((self.decide)(gate.as_ref(), &truth, self.seq()))
            }
            Look::Verdict(verdict) => {
                self.mend(verdict);
                Look::None
            }
        };
    }

    fn seq(&self) -> Option<i64> {
        self.redis.ledger.as_ref().map(|ledger| ledger.seq() as i64)
    }

    fn gate(&self) -> Option<Gate> {
        let ledger = self.redis.ledger.as_ref()?;
        let page = ledger.holds_page(None, 0, 10_000);
        let live = page
            .holds
            .into_iter()
            .filter(|(_, hold)| !hold.is_due(self.now_ms));
        let live = live.map(|(_, hold)| LiveHold {
            order: hold.id.to_string().parse().expect("an order's id"),
            quantity: hold.quantity as i64,
            state: match hold.state {
                State::Held { .. } => LiveState::Held,
                State::Prepared { since_ms } if since_ms + ORPHAN_AGE_MS <= self.now_ms => {
                    LiveState::PreparedLong
                }
                State::Prepared { .. } => LiveState::Prepared,
            },
        });
        Some(Gate {
            seq: ledger.seq() as i64,
            on_hand: ledger.summary(self.now_ms).on_hand as i64,
            live: live.collect(),
            ..Gate::default()
        })
    }

    /// The orders in flight, and those that live holds name; all of them without a gate.
    fn truth(&self, gate: Option<&Gate>) -> Truth {
        let named: HashSet<Uuid> = match gate {
            Some(gate) => gate.live.iter().map(|hold| hold.order).collect(),
            None => self.orders.keys().copied().collect(),
        };
        let known = self.orders.iter().filter(|(id, order)| {
            (order.is_recorded || order.outcome.is_some())
                && (named.contains(id) || !order.is_settled)
        });
        let known = known.map(|(id, order)| {
            let returned = self.return_of(id);
            let known = KnownOrder {
                quantity: order.quantity,
                outcome: order.outcome,
                is_settled: order.is_settled,
                is_returned: returned.is_some_and(|change| change.is_acknowledged),
                may_be_taken_again: self.now_ms - order.created_ms < TAKEN_AGAIN_MS,
            };
            (*id, known)
        });
        let open = self.changes.iter().filter(|change| !change.is_acknowledged);
        let open = open.map(|change| Change {
            adjustment_id: change.id.clone(),
            delta: change.delta,
            order: change.order,
        });
        Truth {
            stock: self.stock,
            unacknowledged: open.collect(),
            orders: known.collect::<HashMap<_, _>>(),
        }
    }

    fn over(&self, gate: &Gate, truth: &Truth) -> HashSet<Uuid> {
        let asked = gate.not_live(truth).into_iter().map(|(id, _)| id);
        let is_over = |id: &Uuid| matches!(self.standing(*id), Some(Standing::Finished(end)) if end.ending != Ending::Expired);
        asked.filter(is_over).collect()
    }

    fn mend(&mut self, verdict: Verdict) {
        if !verdict.is_count_first() {
            verdict.orphans.iter().for_each(|orphan| self.end(orphan));
            return;
        }
        let done = match &verdict.decision {
            Decision::Correct { delta, seq, .. } => self.tell(Command::Adjust {
                delta: *delta,
                id: None,
                only_if: Some(*seq as u64),
                force: true,
            }),
            Decision::Rebuild(rebuild) if self.redis.ledger.is_none() => {
                self.set(rebuild.on_hand);
                for (order, quantity) in &rebuild.prepares {
                    self.tell(prepare(*order, *quantity));
                }
                Some(Word::Ok)
            }
            _ => None,
        };
        if done == Some(Word::Ok) {
            let shown = self
                .redis
                .ledger
                .as_ref()
                .map(|ledger| ledger.summary(self.now_ms));
            let on_hand = shown.map_or(0, |summary| summary.on_hand as i64);
            // Units of a change that Redis has not got may be sold, and then a new key cannot hold
            // all that is sold, until it has got the change.
            let is_new = matches!(verdict.decision, Decision::Rebuild(_));
            let is_short = is_new && self.changes.iter().any(|change| !change.is_acknowledged);
            let is_right = on_hand == self.expected() || self.is_outdated || is_short;
            self.mended.push((verdict.decision, is_right));
        }
    }

    fn end(&mut self, orphan: &Orphan) {
        self.ended += 1;
        let id = named(orphan.order);
        if orphan.end == End::Confirm {
            self.tell(Command::Confirm {
                id,
                quantity: None,
                late: None,
            });
            return;
        }
        if let (End::AbortAndRelease, Some(order)) =
            (orphan.end, self.orders.get_mut(&orphan.order))
        {
            if order.outcome.is_some() || !order.is_settled {
                return;
            }
            order.outcome = Some(Outcome::Aborted);
        }
        self.tell(Command::Release { id });
    }

    fn confirm(&self, id: Uuid, order: &Order) -> Command {
        let late = self.now_ms - order.created_ms < TAKEN_AGAIN_MS;
        Command::Confirm {
            id: named(id),
            quantity: None,
            late: late.then_some(order.quantity as u64),
        }
    }

    fn standing(&self, order: Uuid) -> Option<Standing> {
        let ledger = self.redis.ledger.as_ref()?;
        Some(ledger.standing(&named(order), self.now_ms))
    }

    fn return_of(&self, order: &Uuid) -> Option<&Logged> {
        self.changes
            .iter()
            .find(|change| change.order == Some(*order))
    }

    /// Sends a command; `None` when there is no key, or it makes no sense.
    fn tell(&mut self, command: Command) -> Option<Word> {
        let ledger = self.redis.ledger.as_mut()?;
        if let Some(overdue) = ledger.overdue(self.now_ms, usize::MAX) {
            ledger.apply(&overdue).expect("what was decided");
        }
        let decision = ledger
            .decide(&command, &Policy::default(), self.now_ms)
            .ok()?;
        for effect in &decision.effects {
            ledger.apply(effect).expect("what was decided");
        }
        Some(decision.word)
    }

    fn set(&mut self, on_hand: i64) {
        self.redis = Redis {
            ledger: Some(Ledger::default()),
            applied: BTreeSet::new(),
        };
        self.tell(Command::Set {
            on_hand: on_hand as u64,
            only_if: None,
            force: false,
        });
    }

    fn with_order(&mut self, number: usize, act: fn(&mut Self, Uuid)) {
        let busy = self
            .orders
            .iter()
            .filter(|(_, order)| order.stage != Stage::Over || order.is_sold());
        let busy: Vec<Uuid> = busy.map(|(id, _)| *id).collect();
        if let Some(order) = busy.get(number % busy.len().max(1)) {
            act(self, *order);
        }
    }

    fn with_change(&mut self, number: usize, act: fn(&mut Self, usize)) {
        // What comes back with an order is its saga's to tell.
        let own = (0..self.changes.len()).filter(|at| self.changes[*at].order.is_none());
        let own: Vec<usize> = own.collect();
        if let Some(at) = own.get(number % own.len().max(1)) {
            act(self, *at);
        }
    }
}

impl Order {
    fn is_sold(&self) -> bool {
        self.outcome == Some(Outcome::Committed)
    }

    fn abort(&mut self) -> Stage {
        self.outcome = Some(Outcome::Aborted);
        Stage::Release
    }
}

fn prepare(id: Uuid, quantity: i64) -> Command {
    Command::Prepare {
        id: named(id),
        late: Some(quantity as u64),
    }
}

fn named(order: Uuid) -> Id {
    text(&order.to_string())
}

fn text(id: &str) -> Id {
    Id::new(id.as_bytes()).expect("1 to 64 bytes")
}
