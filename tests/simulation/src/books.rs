//! What the checks remember of what was promised to whom, kept beside the servers so that no
//! server's own word is needed.

use crate::history::Subject;
use crate::machine::{Answer, Reason};
use crate::order::{OrderNo, SkuNo};

/// What was promised, and what happened that excuses a difference.
#[derive(Clone, Debug, Hash)]
pub struct Books {
    /// Stock at the beginning, and changed by operators since.
    pub stocked: Vec<i64>,
    /// What each order's buyers were told.
    pub told: Vec<Vec<Answer>>,
    /// Shoppers who asked to cancel.
    cancelled: Vec<bool>,
    /// Shoppers who gave a checkout hold up.
    given_up: Vec<bool>,
    /// SKUs whose count in Redis only the reconciler can set right.
    pub excused: Vec<bool>,
    /// Redis has lost holds, or units that it had promised were taken away by an operator.
    pub promises_lost: bool,
    /// What must never happen, once it has.
    pub breach: Option<(Subject, String)>,
}

impl Books {
    /// Books of a shop with so much stock each.
    pub fn new(stock: &[u64]) -> Self {
        Self {
            stocked: stock.iter().map(|units| *units as i64).collect(),
            told: Vec::new(),
            cancelled: Vec::new(),
            given_up: Vec::new(),
            excused: vec![false; stock.len()],
            promises_lost: false,
            breach: None,
        }
    }

    /// Something that must not happen has happened; the first is kept.
    pub fn breach(&mut self, subject: Subject, what: impl FnOnce() -> String) {
        if self.breach.is_none() {
            self.breach = Some((subject, what()));
        }
    }

    /// A buyer was told something.
    pub fn tell(&mut self, order: OrderNo, answer: Answer) {
        grow(&mut self.told, order);
        self.told[order].push(answer);
    }

    /// A shopper asked for the order to be cancelled.
    pub fn cancelled_by_shopper(&mut self, order: OrderNo) {
        grow(&mut self.cancelled, order);
        self.cancelled[order] = true;
    }

    /// Whether one did.
    pub fn was_cancelled_by_shopper(&self, order: OrderNo) -> bool {
        self.cancelled.get(order).copied().unwrap_or_default()
    }

    /// A shopper gave a checkout hold up.
    pub fn given_up(&mut self, order: OrderNo) {
        grow(&mut self.given_up, order);
        self.given_up[order] = true;
        self.promises_lost = true;
    }

    /// Whether one did.
    pub fn was_given_up(&self, order: OrderNo) -> bool {
        self.given_up.get(order).copied().unwrap_or_default()
    }

    /// Redis has lost its last writes; of these SKUs, changes of the count among them.
    pub fn failed_over(&mut self, counts_lost: &[bool]) {
        self.promises_lost = true;
        for (excused, lost) in self.excused.iter_mut().zip(counts_lost) {
            *excused |= lost;
        }
    }

    /// Redis has lost everything.
    pub fn flushed(&mut self) {
        self.promises_lost = true;
        self.excused.fill(true);
    }

    /// The count of a SKU in Redis is known to be off until it is reconciled.
    pub fn excuse(&mut self, sku: SkuNo) {
        self.excused[sku] = true;
        self.promises_lost = true;
    }

    /// The shop is at rest and reconciled, so that Redis promises what there is. A sale that it has
    /// forgotten stays so: it cannot take back what it does not know to have sold.
    pub fn reconciled(&mut self) {
        self.promises_lost = false;
    }

    /// Whether a buyer was told that the order is bought.
    pub fn is_acknowledged(&self, order: OrderNo) -> bool {
        let mut told = self.told.get(order).into_iter().flatten();
        told.any(|answer| *answer == Answer::Confirmed)
    }

    /// Whether a buyer was told that the order came to nothing.
    pub fn was_refused(&self, order: OrderNo) -> bool {
        let mut told = self.told.get(order).into_iter().flatten();
        told.any(|answer| match answer {
            Answer::Refused(reason) => !is_of_the_request(*reason),
            _ => false,
        })
    }
}

/// Whether a refusal speaks of one request, and not of what became of the order.
pub fn is_of_the_request(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::KeyTaken | Reason::Unavailable | Reason::Overloaded | Reason::OutOfStock
    )
}

fn grow<T: Default>(rows: &mut Vec<T>, at: usize) {
    if rows.len() <= at {
        rows.resize_with(at + 1, T::default);
    }
}
