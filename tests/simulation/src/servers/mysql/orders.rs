//! The transactions that move an order.

use super::events::{self, RECORDED, REFUNDED, RETURNED, SOLD};
use super::{Change, Key, LogRow, MySql, OrderRow, Outcome, Reply, Status, Transaction, grown};
use crate::controls::Control;
use crate::machine::{End, Reason};
use crate::order::{self, Lines, OrderNo};
use crate::world::LEASE_MS;

impl MySql {
    pub(super) fn record(&mut self, transaction: &Transaction) -> Reply {
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

    pub(super) fn commit(
        &mut self,
        order: OrderNo,
        lines: &Lines,
        control: Option<Control>,
    ) -> Reply {
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

    pub(super) fn abort(
        &mut self,
        order: OrderNo,
        reason: Reason,
        control: Option<Control>,
    ) -> Reply {
        match self.outcome(order) {
            Some(Outcome::Committed) if control != Some(Control::NoOutcomeKey) => {
                return Reply::LostRace;
            }
            Some(_) => {}
            None => *grown(&mut self.outcomes, order) = Some(Outcome::Aborted),
        }
        let called_off = if events::expires(reason) {
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
            self.tell(Key::Order(order), events::called_off_events(reason));
        }
        Reply::Done
    }

    pub(super) fn cancel(&mut self, order: OrderNo, lease_until_ms: u64) -> Reply {
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

    pub(super) fn record_refund(&mut self, order: OrderNo) -> Reply {
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

    pub(super) fn settle(&mut self, order: OrderNo, end: End, control: Option<Control>) -> Reply {
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
    pub(super) fn retry_parked(&mut self, order: OrderNo, now_ms: u64) -> Reply {
        let is_sold = self.outcome(order) == Some(Outcome::Committed);
        self.update(order, |row| {
            if row.settled || row.status != Status::Parked {
                return;
            }
            row.status = match row.reason {
                None if is_sold => Status::Confirmed,
                None => Status::Pending,
                Some(reason) if events::expires(reason) => Status::Expired,
                Some(_) => Status::Cancelled,
            };
            row.attempts = 0;
            row.lease_until_ms = now_ms;
        });
        Reply::Done
    }
}

/// What a verified webhook changes that says that the money was taken.
pub(super) fn note_payment(row: &mut OrderRow, now_ms: u64) {
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
