//! The shop: its servers, its proxies, and everything that can happen next.
//!
//! Whatever happens is an [`Action`], and an action on a world has one outcome. Who chooses the
//! actions is somebody else: the dice of a seed, or a model checker that tries them all.

use std::hash::{Hash, Hasher};

use holdfast_stock::Command;

use crate::action::{Action, Message};
use crate::alike::hash_in_any_order;
use crate::books::Books;
use crate::controls::Control;
use crate::machine::{self, Found};
use crate::order::{Card, Order, OrderNo};
use crate::proxy::Proxy;
use crate::proxy::reconciler::Look;
use crate::proxy::saga::Saga;
use crate::servers::kafka::Kafka;
use crate::servers::mysql::{MySql, OrderRow, Outcome, Status, Transaction};
use crate::servers::provider::Provider;
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
    /// Whether each SKU is on a node of its own, so that an order is held line by line.
    pub is_cluster: bool,
}

impl World {
    /// A shop with so much stock each, and so many proxies.
    pub fn new(stock: &[u64], proxies: usize, control: Option<Control>) -> Self {
        let mut provider = Provider::default();
        provider.without_tombstone = control == Some(Control::NoTombstone);
        provider.without_idempotency = control == Some(Control::NoPaymentIdempotency);
        let mut redis = Redis::new(stock);
        redis.carts.without_mark = control == Some(Control::NoCartMark);
        Self {
            now_ms: 0,
            orders: Vec::new(),
            mysql: MySql::new(stock),
            redis,
            provider,
            kafka: Kafka::default(),
            proxies: vec![Proxy::default(); proxies],
            on_the_way: Vec::new(),
            books: Books::new(stock),
            control,
            sagas: 0,
            group_commit: true,
            is_cluster: false,
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
                without_redis,
            } => self.buy(proxy, lines, card, key, without_redis),
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
                let _unheard = self.on_redis(&call);
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
