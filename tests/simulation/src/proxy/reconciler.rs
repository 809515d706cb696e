//! The reconciler: its real decision, with its reads and writes each at an instant of its own.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use holdfast_stock::{Command, Ledger, Policy, State, Word};

use crate::action::Fault;
use crate::controls::Control;
use crate::order::{self, SkuNo};
use crate::reconcile::{
    Change, Decision, End, Gate, KnownOrder, LiveHold, LiveState, Orphan, Outcome as Known, Truth,
    Verdict, decide,
};
use crate::servers::mysql::{Outcome, Transaction};
use crate::servers::redis::{Call, standing};
use crate::world::{TAKEN_AGAIN_MS, World};

/// A hold that has been prepared for so long has nobody who runs its order, in milliseconds.
const ORPHAN_AGE_MS: u64 = 30_000;

/// What a reconciler has seen so far of one SKU.
#[derive(Clone, Debug)]
pub struct Look {
    sku: SkuNo,
    gate: Option<Gate>,
    truth: Option<Truth>,
    verdict: Option<Verdict>,
}

impl Look {
    /// Where it looks.
    pub fn sku(&self) -> SkuNo {
        self.sku
    }

    /// Whether it has come to the verdict that something is to be done.
    pub fn finds_something(&self) -> bool {
        let verdict = self.verdict.as_ref();
        verdict.is_some_and(|verdict| {
            verdict.decision != Decision::Right || !verdict.orphans.is_empty()
        })
    }
}

impl World {
    /// First, Redis.
    pub fn read_ledger(&mut self, proxy: usize, sku: SkuNo) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let gate = self.gate(sku);
        self.proxies[proxy].look = Some(Look {
            sku,
            gate,
            truth: None,
            verdict: None,
        });
    }

    /// Then one snapshot of MySQL, then Redis once more and the verdict, then what it says.
    pub fn reconcile(&mut self, proxy: usize, fault: Fault) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let Some(mut look) = self.proxies[proxy].look.take() else {
            return;
        };
        if look.truth.is_none() {
            look.truth = Some(self.truth(look.sku, look.gate.as_ref()));
        } else if look.verdict.is_none() {
            look.verdict = Some(self.judge(&mut look));
        } else if !self.mend(&mut look, fault) {
            return;
        }
        self.proxies[proxy].look = Some(look);
    }

    fn gate(&self, sku: SkuNo) -> Option<Gate> {
        let ledger = self.redis.ledger(sku);
        let now_ms = self.redis.clock(self.now_ms);
        if ledger.seq() == 0 {
            return None;
        }
        let live = ledger.holds_page(None, 0, usize::MAX).holds;
        let live = live.into_iter().filter_map(|(_, hold)| {
            let state = match hold.state {
                State::Held { .. } => LiveState::Held,
                State::Prepared { since_ms } if since_ms + ORPHAN_AGE_MS <= now_ms => {
                    LiveState::PreparedLong
                }
                State::Prepared { .. } => LiveState::PreparedInDoubt,
            };
            Some(LiveHold {
                order: order::uuid(order::order_of(&hold.id)?),
                quantity: hold.quantity as i64,
                state,
            })
        });
        Some(Gate {
            seq: ledger.seq() as i64,
            on_hand: ledger.summary(now_ms).on_hand as i64,
            live: live.collect(),
            over: HashSet::new(),
            applied: HashSet::new(),
        })
    }

    fn truth(&self, sku: SkuNo, gate: Option<&Gate>) -> Truth {
        let logs = self.mysql.logs.iter().enumerate();
        let waiting = logs.filter(|(_, row)| row.sku == sku && !row.acknowledged);
        let waiting = waiting.map(|(log, row)| Change {
            adjustment_id: row.adjustment_id(log),
            delta: row.delta,
            order: row.returned.map(order::uuid),
        });
        let mut orders = HashMap::new();
        for hold in gate.iter().flat_map(|gate| &gate.live) {
            if let Some(known) = self.known(sku, order::number(hold.order), 0) {
                orders.insert(hold.order, known);
            }
        }
        for (number, row) in self.mysql.orders.iter().enumerate() {
            let Some(row) = row.as_ref().filter(|row| !row.settled) else {
                continue;
            };
            let line = row.lines.iter().find(|line| line.sku == sku);
            if let Some(line) = line
                && let Some(known) = self.known(sku, number, line.quantity as i64)
            {
                orders.insert(order::uuid(number), known);
            }
        }
        Truth {
            stock: self.mysql.stock[sku],
            unacknowledged: waiting.collect(),
            orders,
        }
    }

    fn known(&self, sku: SkuNo, number: usize, quantity: i64) -> Option<KnownOrder> {
        let row = self.mysql.order(number);
        let outcome = self.mysql.outcome(number).map(|outcome| match outcome {
            Outcome::Committed => Known::Committed,
            Outcome::Aborted => Known::Aborted,
        });
        if row.is_none() && outcome.is_none() {
            return None;
        }
        let mut logs = self.mysql.logs.iter();
        Some(KnownOrder {
            quantity,
            outcome,
            is_settled: row.is_none_or(|row| row.settled),
            is_returned: logs
                .any(|log| log.sku == sku && log.returned == Some(number) && log.acknowledged),
            may_be_taken_again: row
                .is_some_and(|row| self.now_ms < row.created_ms + TAKEN_AGAIN_MS),
        })
    }

    fn judge(&self, look: &mut Look) -> Verdict {
        let truth = look.truth.take().unwrap_or_default();
        let ledger = self.redis.ledger(look.sku);
        let now_ms = self.redis.clock(self.now_ms);
        if let Some(gate) = &mut look.gate {
            let asked = gate.not_live(&truth).into_iter().map(|(order, _)| order);
            gate.over = asked
                .filter(|asked| {
                    let hold = &self.orders[order::number(*asked)].hold_id;
                    let word = standing(ledger, hold, now_ms);
                    matches!(word, Some(Word::Confirmed | Word::Released))
                })
                .collect();
            let changes = truth.unacknowledged.iter();
            let applied = changes.filter(|change| has_change(ledger, change, now_ms));
            gate.applied = applied.map(|change| change.adjustment_id.clone()).collect();
        }
        let seq_after = match self.control {
            Some(Control::CorrectWithoutSeq) => look.gate.as_ref().map(|gate| gate.seq),
            _ => (ledger.seq() > 0).then_some(ledger.seq() as i64),
        };
        let verdict = decide(look.gate.as_ref(), &truth, seq_after);
        look.truth = Some(truth);
        verdict
    }

    /// One call of what the verdict says; false when nothing is left.
    fn mend(&mut self, look: &mut Look, fault: Fault) -> bool {
        let sku = look.sku;
        let Some(verdict) = &mut look.verdict else {
            return false;
        };
        if !verdict.is_count_first()
            && let Some(orphan) = verdict.orphans.pop()
        {
            self.end_orphan(sku, orphan, fault);
            // What is left of the verdict speaks of a ledger that has changed.
            return !verdict.orphans.is_empty();
        }
        match verdict.decision.clone() {
            Decision::Correct { delta, seq, .. } => {
                let only_if =
                    (self.control != Some(Control::CorrectWithoutSeq)).then_some(seq as u64);
                let correct = Command::Adjust {
                    delta,
                    id: None,
                    only_if,
                    force: true,
                };
                self.call_redis(Call::One(sku, correct), fault);
            }
            Decision::Rebuild(rebuild) => {
                self.call_redis(Call::Rebuild(sku, rebuild), fault);
            }
            Decision::Right | Decision::Again => {}
        }
        false
    }

    fn end_orphan(&mut self, sku: SkuNo, orphan: Orphan, fault: Fault) {
        let number = order::number(orphan.order);
        if orphan.end == End::AbortAndRelease {
            let decide = Transaction::DecideOrphan(number);
            let is_ours = self.mysql.outcome(number).is_none()
                && self.mysql.order(number).is_none_or(|row| row.settled);
            if !is_ours || self.mysql.is_blocked(&decide) {
                return;
            }
            self.on_mysql(&decide);
        }
        let id = self.orders[number].hold_id.clone();
        let end = match orphan.end {
            End::Confirm => Command::Confirm {
                id,
                quantity: None,
                late: None,
            },
            End::Release | End::AbortAndRelease => Command::Release { id },
        };
        self.call_redis(Call::One(sku, end), fault);
    }
}

/// `INV.ADJUST … ID … IF 0`, which changes nothing, and which a key that has the change answers
/// as a repetition.
fn has_change(ledger: &Ledger, change: &Change, now_ms: u64) -> bool {
    let ask = Command::Adjust {
        delta: change.delta,
        id: Some(order::id(&change.adjustment_id)),
        only_if: Some(0),
        force: false,
    };
    let decision = ledger.decide(&ask, &Policy::default(), now_ms);
    decision.is_ok_and(|decision| decision.replayed)
}

/// What a look has seen depends on the world alone; the model checker does not reconcile.
impl Hash for Look {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sku.hash(state);
    }
}
