//! The shop: its servers, its proxies, and everything that can happen next.
//!
//! Whatever happens is an [`Action`], and an action on a world has one outcome. Who chooses the
//! actions is somebody else: the dice of a seed, or a model checker that tries them all.

use std::hash::{Hash, Hasher};

use holdfast_stock::Command;

use crate::alike::hash_in_any_order;
use crate::books::Books;
use crate::controls::Control;
use crate::machine::{self, Found};
use crate::order::{Card, Lines, Order, OrderNo, SkuNo};
use crate::proxy::Proxy;
use crate::proxy::reconciler::Look;
use crate::proxy::saga::Saga;
use crate::servers::kafka::Kafka;
use crate::servers::mysql::{MySql, OrderRow, Outcome, Status, Transaction};
use crate::servers::provider::{Provider, Request};
use crate::servers::redis::{Call, Redis};

/// How long a saga belongs to its proxy without being renewed, `recovery.lease_ms`.
pub const LEASE_MS: u64 = 5_000;
/// How long units of an order are held, `holds.ttl_ms`.
pub const HOLD_MS: u64 = 60_000;
/// How long units are held at checkout, `holds.checkout_ttl_ms`.
pub const CHECKOUT_HOLD_MS: u64 = 600_000;
/// How long a payment may take, `payment.patience_ms`.
pub const PATIENCE_MS: u64 = 900_000;
/// How long after it was placed an order's hold may be taken again, as `orders::Order` has it.
pub const TAKEN_AGAIN_MS: u64 = 50 * 60_000;
/// No command is on its way for longer than this.
pub const LONGEST_ON_THE_WAY_MS: u64 = 60_000;

/// The whole shop.
#[derive(Clone, Debug)]
pub struct World {
    /// The time.
    pub now_ms: u64,
    /// What was asked for.
    pub orders: Vec<Order>,
    /// The truth.
    pub mysql: MySql,
    /// The gate.
    pub redis: Redis,
    /// The money.
    pub provider: Provider,
    /// The news.
    pub kafka: Kafka,
    /// Those that run sagas.
    pub proxies: Vec<Proxy>,
    /// Commands that are still on their way, with when they were sent.
    pub on_the_way: Vec<(u64, Message)>,
    /// What the checks remember.
    pub books: Books,
    /// The guard that is missing.
    pub control: Option<Control>,
    /// How many sagas there have been.
    pub sagas: u64,
    /// Whether orders are recorded and confirmed in batches, or each by itself.
    pub group_commit: bool,
}

/// A command that may arrive late.
#[derive(Clone, Debug)]
pub enum Message {
    /// To Redis.
    Redis(Call),
    /// To the provider.
    Provider(Request),
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

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl World {
    /// A shop with so much stock each, and so many proxies.
    pub fn new(stock: &[u64], proxies: usize, control: Option<Control>) -> Self {
        let mut provider = Provider::default();
        provider.without_tombstone = control == Some(Control::NoTombstone);
        provider.without_idempotency = control == Some(Control::NoPaymentIdempotency);
        Self {
            now_ms: 0,
            orders: Vec::new(),
            mysql: MySql::new(stock),
            redis: Redis::new(stock),
            provider,
            kafka: Kafka::default(),
            proxies: vec![Proxy::default(); proxies],
            on_the_way: Vec::new(),
            books: Books::new(stock),
            control,
            sagas: 0,
            group_commit: true,
        }
    }

    /// Lets it happen. An action whose subject is not there, or has to wait, changes nothing.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Wait(ms) => self.now_ms += ms,
            Action::Buy {
                proxy,
                lines,
                card,
                key,
            } => self.buy(proxy, lines, card, key),
            Action::BuyAgain { proxy, order } => self.buy_again(proxy, order),
            Action::TakeHold { lines, card, fault } => self.take_hold(lines, card, fault),
            Action::ExtendHold { order, fault } => self.extend_hold(order, fault),
            Action::ConfirmHold { proxy, order } => self.confirm_hold(proxy, order),
            Action::ReleaseHold { order, fault } => self.release_hold(order, fault),
            Action::Cancel { proxy, order } => self.cancel(proxy, order),
            Action::Step { proxy, saga, fault } => self.step(proxy, saga, fault),
            Action::Write {
                proxy,
                batch,
                most,
                fault,
            } => self.write(proxy, batch, most, fault),
            Action::Renew { proxy } => self.renew(proxy),
            Action::Recover { proxy, most } => self.recover(proxy, most),
            Action::Crash { proxy } => self.proxies[proxy] = Proxy::default(),
            Action::Pause { proxy, paused } => self.proxies[proxy].is_paused = paused,
            Action::Replicate { sku, changes } => self.redis.replicate(sku, changes),
            Action::FailOver { skew_ms } => {
                let lost = self.redis.fail_over(skew_ms);
                self.books.failed_over(&lost);
                self.excuse_looks();
            }
            Action::Flush => {
                self.redis.flush();
                self.books.flushed();
            }
            Action::Sweep { sku } => self.redis.sweep(sku, self.now_ms),
            Action::Arrive { message } => self.arrive(message),
            Action::Vanish { message } => drop(taken(&mut self.on_the_way, message)),
            Action::Resolve {
                transaction,
                committed,
            } => {
                if transaction < self.mysql.limbo.len() {
                    let transaction = self.mysql.limbo.swap_remove(transaction);
                    if committed {
                        self.on_mysql(&transaction);
                    }
                }
            }
            Action::Complete { order, well } => {
                self.provider.complete(order, well);
                self.check_money(order);
            }
            Action::Webhook { order } => self.webhook(order),
            Action::ReadOutbox { proxy, most } => self.read_outbox(proxy, most),
            Action::Relay { proxy, poisoned } => self.relay(proxy, poisoned),
            Action::RemoveRelayed { proxy } => self.remove_relayed(proxy),
            Action::Unpark => {
                for row in &mut self.mysql.outbox {
                    row.parked = false;
                }
            }
            Action::Adjust { sku, delta } => self.adjust(sku, delta),
            Action::DeliverChange { log, undo, fault } => self.deliver_change(log, undo, fault),
            Action::RetryParked { order } => self.retry_parked(order),
            Action::ReadLedger { proxy, sku } => self.read_ledger(proxy, sku),
            Action::Reconcile { proxy, fault } => self.reconcile(proxy, fault),
        }
    }

    /// Whether the order can be cancelled by whoever looks now.
    pub fn may_be_cancelled(&self, order: OrderNo) -> bool {
        let status = self.mysql.order(order).map(|row| row.status);
        matches!(
            status,
            Some(Status::Pending | Status::Paid | Status::Confirmed)
        )
    }

    fn buy(&mut self, proxy: usize, lines: Lines, card: Card, key: Option<u32>) {
        if self.proxies[proxy].is_paused {
            return;
        }
        let order = self.orders.len();
        self.orders.push(Order::new(order, lines, card, key, false));
        self.start(proxy, order, Some(card), machine::begin(), self.now_ms);
    }

    /// The answer to a request that came before is found in the tables; one that came to nothing
    /// is a new order.
    fn buy_again(&mut self, proxy: usize, order: OrderNo) {
        let Some(asked) = self.orders.get(order) else {
            return;
        };
        let Some(key) = asked
            .key
            .filter(|key| self.mysql.order_with(*key).is_none())
        else {
            return;
        };
        let (lines, card) = (asked.lines, asked.card);
        self.buy(proxy, lines, card, Some(key));
    }

    fn take_hold(&mut self, lines: Lines, card: Card, fault: Fault) {
        let order = self.orders.len();
        let asked = Order::new(order, lines, card, None, true);
        let reserve = Call::ReserveAll {
            id: asked.hold_id.clone(),
            lines,
            ttl_ms: CHECKOUT_HOLD_MS,
        };
        self.orders.push(asked);
        self.call_redis(reserve, fault);
    }

    fn extend_hold(&mut self, order: OrderNo, fault: Fault) {
        let Some(asked) = self.orders.get(order) else {
            return;
        };
        let (id, lines) = (asked.hold_id.clone(), asked.lines);
        for line in lines.iter() {
            let extend = Command::Extend {
                id: id.clone(),
                for_ms: CHECKOUT_HOLD_MS,
            };
            self.call_redis(Call::One(line.sku, extend), fault);
        }
    }

    fn confirm_hold(&mut self, proxy: usize, order: OrderNo) {
        let is_known = self.mysql.order(order).is_some();
        let Some(asked) = self
            .orders
            .get(order)
            .filter(|asked| asked.held_at_checkout)
        else {
            return;
        };
        if !is_known && !self.proxies[proxy].is_paused {
            let card = asked.card;
            self.start(
                proxy,
                order,
                Some(card),
                machine::begin_with_hold(),
                self.now_ms,
            );
        }
    }

    /// Looks first whether the hold has become an order, which may happen before the release
    /// arrives.
    fn release_hold(&mut self, order: OrderNo, fault: Fault) {
        let Some(asked) = self
            .orders
            .get(order)
            .filter(|asked| asked.held_at_checkout)
        else {
            return;
        };
        if self.mysql.order(order).is_some() {
            return;
        }
        let (id, lines) = (asked.hold_id.clone(), asked.lines);
        self.books.given_up(order);
        for line in lines.iter() {
            let release = Command::Release { id: id.clone() };
            self.call_redis(Call::One(line.sku, release), fault);
        }
    }

    fn cancel(&mut self, proxy: usize, order: OrderNo) {
        let created_ms = self.mysql.order(order).map(|row| row.created_ms);
        if let Some(created_ms) = created_ms.filter(|_| self.may_be_cancelled(order))
            && !self.proxies[proxy].is_paused
        {
            self.books.cancelled_by_shopper(order);
            self.start(proxy, order, None, machine::begin_cancel(), created_ms);
        }
    }

    fn webhook(&mut self, order: OrderNo) {
        let webhook = Transaction::Webhook(order, self.now_ms);
        // A hint, and maybe an old one.
        if self.provider.moved(order).0 > 0 && !self.mysql.is_blocked(&webhook) {
            self.on_mysql(&webhook);
        }
    }

    fn retry_parked(&mut self, order: OrderNo) {
        let retry = Transaction::RetryParked(order, self.now_ms);
        if !self.mysql.is_blocked(&retry) {
            self.on_mysql(&retry);
        }
    }

    fn arrive(&mut self, message: usize) {
        match taken(&mut self.on_the_way, message) {
            Some((sent_ms, _)) if sent_ms + LONGEST_ON_THE_WAY_MS < self.now_ms => {}
            Some((_, Message::Redis(call))) => {
                self.excuse_undone(&call);
                self.on_redis(&call).ok();
            }
            Some((_, Message::Provider(request))) => {
                self.on_provider(request);
            }
            None => {}
        }
    }

    /// After a failover the same `seq` can stand for another history: a look that it has caught may
    /// correct by what was true of the old primary. The next look puts it right.
    fn excuse_looks(&mut self) {
        let looks = self.proxies.iter().filter_map(|proxy| proxy.look.as_ref());
        let corrections = (self.on_the_way.iter()).filter_map(|(_, message)| message.corrects());
        let skus: Vec<_> = looks.map(Look::sku).chain(corrections).collect();
        for sku in skus {
            self.books.excuse(sku);
        }
    }

    /// A change that was refused and undone may be taken after all when it arrives again.
    fn excuse_undone(&mut self, call: &Call) {
        let Call::One(sku, Command::Adjust { id: Some(_), .. }) = call else {
            return;
        };
        if self
            .mysql
            .logs
            .iter()
            .any(|row| row.sku == *sku && row.is_undone())
        {
            self.books.excuse(*sku);
        }
    }

    /// Puts a saga on a proxy.
    pub fn start(
        &mut self,
        proxy: usize,
        order: OrderNo,
        card: Option<Card>,
        first: machine::Step,
        created_ms: u64,
    ) {
        self.sagas += 1;
        let saga = Saga::new(self.sagas, order, card, first, created_ms);
        self.proxies[proxy].sagas.push(saga);
    }

    /// What recovery makes of an order's rows.
    pub fn found(&self, order: OrderNo, row: &OrderRow) -> Found {
        match (self.mysql.outcome(order), row.status) {
            (None, _) => Found::Undecided {
                overdue: row.created_ms + PATIENCE_MS < self.now_ms,
            },
            (Some(Outcome::Aborted), _) => Found::Aborted,
            (Some(Outcome::Committed), Status::Cancelled | Status::Refunded) => Found::Cancelled,
            (Some(Outcome::Committed), _) => Found::Committed,
        }
    }
}

impl Message {
    /// The SKU whose count it corrects, if it does.
    fn corrects(&self) -> Option<SkuNo> {
        match self {
            Message::Redis(Call::One(sku, Command::Adjust { only_if, .. })) => {
                only_if.map(|_| *sku)
            }
            _ => None,
        }
    }
}

fn taken<T>(items: &mut Vec<T>, at: usize) -> Option<T> {
    (at < items.len()).then(|| items.swap_remove(at))
}

/// Without the number of sagas, of which each is told from the others where that matters.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.now_ms, &self.orders, &self.mysql, &self.redis).hash(state);
        (&self.provider, &self.kafka, &self.proxies, &self.books).hash(state);
        hash_in_any_order(&self.on_the_way, state);
    }
}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{self:?}").hash(state);
    }
}
