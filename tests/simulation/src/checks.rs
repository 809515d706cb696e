//! What must hold after every step: what that step could have broken.
//! The letters are those of the invariants in ARCHITECTURE.md.

use holdfast_stock::{Command, Word};

use crate::books;
use crate::history::Subject;
use crate::machine::{Answer, Reason};
use crate::order::{self, OrderNo};
use crate::servers::mysql::{Change, Outcome, Reply, Status, Transaction};
use crate::servers::provider::{Request, Standing};
use crate::servers::redis::{Call, Refused, standing};
use crate::world::World;

impl World {
    /// A transaction, and whether it was a legal one.
    pub fn on_mysql(&mut self, transaction: &Transaction) -> Reply {
        if let Transaction::Undo(log) = transaction {
            let row = self.mysql.logs[*log];
            self.books.stocked[row.sku] -= row.delta;
        }
        let reply = self.mysql.execute(transaction, self.control);
        match transaction {
            Transaction::Adjust(sku, delta) if reply == Reply::Done => {
                self.books.stocked[*sku] += delta;
                // Redis goes on promising what is gone until it is told.
                self.books.promises_lost |= *delta < 0;
            }
            Transaction::Commit(order, _)
            | Transaction::Abort(order, _)
            | Transaction::Cancel(order, _)
            | Transaction::RecordRefund(order) => self.check_history(*order),
            Transaction::Batch(batch) => {
                for transaction in batch {
                    if let Transaction::Commit(order, _) = transaction {
                        self.check_history(*order);
                    }
                }
            }
            _ => {}
        }
        self.check_stock();
        reply
    }

    /// A batch, and whether it was a legal one.
    pub fn on_mysql_all(&mut self, batch: &[Transaction]) -> Vec<Reply> {
        let replies = self.mysql.execute_all(batch, self.control);
        for transaction in batch {
            if let Transaction::Commit(order, _) = transaction {
                self.check_history(*order);
            }
        }
        self.check_stock();
        replies
    }

    fn check_stock(&mut self) {
        if let Some(sku) = self.mysql.stock.iter().position(|stock| *stock < 0) {
            let stock = self.mysql.stock[sku];
            (self.books).breach(Subject::Sku(sku), || {
                format!("A: stock of SKU {sku} is {stock} in MySQL")
            });
        }
    }

    /// A command, and whether it may have done what it did.
    pub fn on_redis(&mut self, call: &Call) -> Result<Word, Refused> {
        let was_prepared = match call {
            Call::One(sku, Command::Release { id }) => {
                let now_ms = self.redis.clock(self.now_ms);
                standing(self.redis.ledger(*sku), id, now_ms) == Some(Word::Prepared)
            }
            _ => false,
        };
        let answer = self.redis.call(call, self.now_ms);
        match (call, &answer) {
            (Call::One(_, Command::Confirm { id, .. }), Ok(Word::Confirmed)) => {
                self.check_sale(order::order_of(id));
            }
            (Call::One(_, Command::Release { id }), Ok(Word::Released)) if was_prepared => {
                self.check_release(order::order_of(id));
            }
            (Call::EmptyCart(order), _) => self.check_cart(*order),
            _ => {}
        }
        answer
    }

    /// A cart loses what was bought of it, once.
    fn check_cart(&mut self, order: OrderNo) {
        let was_sold =
            (self.mysql.history.get(order)).is_some_and(|history| history.contains(&Change::Sold));
        let times = self.redis.carts.times(order);
        if !was_sold || times > 1 {
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} was taken out of its cart {times} times, sold is {was_sold}")
            });
        }
    }

    /// A request, and whether money moved more than once.
    pub fn on_provider(&mut self, request: Request) -> Standing {
        let answer = self.provider.ask(request);
        let (Request::Authorise(order, _) | Request::Capture(order) | Request::Refund(order)) =
            request;
        self.check_money(order);
        answer
    }

    /// Money is taken once, and given back once.
    pub fn check_money(&mut self, order: OrderNo) {
        let (captures, refunds) = self.provider.moved(order);
        if captures > 1 || refunds > captures {
            (self.books).breach(Subject::Order(order), || {
                format!("money of order {order} was taken {captures} times, given back {refunds}")
            });
        }
    }

    /// A buyer who has paid is refused for stock only when Redis has lost what it promised, or an
    /// operator has taken units away.
    pub fn check_promise(&mut self, order: OrderNo) {
        if !self.books.promises_lost {
            (self.books).breach(Subject::Order(order), || {
                format!("order {order} was paid for and had no stock, though nothing was lost")
            });
        }
    }

    /// A buyer is told only what is true.
    pub fn check_answer(&mut self, order: OrderNo, answer: Answer) {
        let status = self.mysql.order(order).map(|row| row.status);
        let was_sold =
            (self.mysql.history.get(order)).is_some_and(|history| history.contains(&Change::Sold));
        let is_true = match answer {
            Answer::Confirmed => was_sold,
            Answer::Refused(Reason::CancelledByShopper) => status != Some(Status::Confirmed),
            // Another confirmation of the same checkout hold may have bought it.
            Answer::Refused(reason) if books::is_of_the_request(reason) => {
                self.orders[order].held_at_checkout || !was_sold
            }
            Answer::Refused(_) => !was_sold,
            Answer::TooLate | Answer::Pending => true,
        };
        if !is_true {
            (self.books).breach(Subject::Order(order), || {
                format!("B: the buyer of order {order}, {status:?}, was told {answer:?}")
            });
        }
    }

    /// Redis counts as sold only what MySQL has sold.
    fn check_sale(&mut self, order: Option<OrderNo>) {
        let outcome = order.and_then(|order| self.mysql.outcome(order));
        if outcome != Some(Outcome::Committed) {
            (self.books).breach(order.map_or(Subject::Shop, Subject::Order), || {
                format!("A: Redis has sold the units of order {order:?}, which is {outcome:?}")
            });
        }
    }

    /// Units whose sale is under way are offered again only when it can no longer happen.
    fn check_release(&mut self, order: Option<OrderNo>) {
        let Some(order) = order else {
            return;
        };
        let outcome = self.mysql.outcome(order);
        let status = self.mysql.order(order).map(|row| row.status);
        let is_over = outcome == Some(Outcome::Aborted)
            || matches!(status, Some(Status::Cancelled | Status::Refunded));
        if !is_over && !self.books.was_given_up(order) {
            (self.books).breach(Subject::Order(order), || {
                format!("A: units of order {order}, which is {outcome:?}, were given back")
            });
        }
    }

    /// An order is decided once.
    fn check_history(&mut self, order: OrderNo) {
        use Change::{CalledOff, Recorded, Refunded, Returned, Sold};
        let Some(history) = self.mysql.history.get(order) else {
            return;
        };
        let legal = matches!(
            history[..],
            [] | [Recorded]
                | [Recorded, Sold]
                | [Recorded, Sold, Returned]
                | [Recorded, Sold, Returned, Refunded]
                | [Recorded, CalledOff(_)]
                | [Recorded, CalledOff(_), Refunded]
        );
        if !legal {
            let history = history.clone();
            (self.books).breach(Subject::Order(order), || {
                format!("E: order {order} went through {history:?}")
            });
        }
    }
}
