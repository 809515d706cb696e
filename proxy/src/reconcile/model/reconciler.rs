//! The reconciler, a step at a time, so that anything may happen between its looks.

use std::collections::{HashMap, HashSet};

use holdfast_stock::{Command, Ending, Standing, State, Word};
use uuid::Uuid;

use super::redis::{named, prepare};
use super::{ORPHAN_AGE_MS, TAKEN_AGAIN_MS, World};
use crate::reconcile::decision::{
    Change, Decision, End, Gate, KnownOrder, LiveHold, LiveState, Orphan, Outcome, Truth, Verdict,
};

/// How far the reconciler is.
#[derive(Default)]
pub(super) enum Look {
    #[default]
    None,
    Gate(Option<Gate>),
    Both(Option<Gate>, Truth),
    Verdict(Verdict),
}

impl World {
    pub(super) fn reconcile(&mut self) {
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

    pub(super) fn reconcile_beside(&mut self) {
        let begun = std::mem::take(&mut self.look);
        for _ in 0..4 {
            self.reconcile();
        }
        self.look = begun;
    }

    pub(super) fn gate(&self) -> Option<Gate> {
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
                State::Prepared { .. } => LiveState::PreparedInDoubt,
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
    pub(super) fn truth(&self, gate: Option<&Gate>) -> Truth {
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

    pub(super) fn over(&self, gate: &Gate, truth: &Truth) -> HashSet<Uuid> {
        let asked = gate.not_live(truth).into_iter().map(|(id, _)| id);
        let is_over = |id: &Uuid| matches!(self.standing(*id), Some(Standing::Finished(end)) if end.ending != Ending::Expired);
        asked.filter(is_over).collect()
    }

    pub(super) fn mend(&mut self, verdict: Verdict) {
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
            Decision::Rebuild(rebuild) => {
                let is_lost = self.redis.ledger.is_none();
                if is_lost {
                    self.set(rebuild.on_hand);
                }
                // In one MULTI with INV.SET, which does not keep them back if somebody was faster.
                for (order, quantity) in &rebuild.prepares {
                    self.tell(prepare(*order, *quantity));
                }
                is_lost.then_some(Word::Ok)
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

    pub(super) fn end(&mut self, orphan: &Orphan) {
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
}
