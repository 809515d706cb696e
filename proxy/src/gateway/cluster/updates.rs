//! What the module tells of stock in a cluster. It tells it in the shard that a key is in alone, so
//! each SKU is followed there, on one connection a shard, made when the first one is followed.
//!
//! A SKU whose slot has moved, or whose shard is lost or has another primary, is followed anew a
//! moment later, at whoever answers for it then. The others are told of all the while.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Cluster;
use super::listener::{Listening, News, Order};
use crate::catalogue::Sku;
use crate::gateway::inventory::key;
use crate::gateway::server::Server;
use crate::gateway::shard::Shard;

/// Before what is followed nowhere is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The SKUs that are followed in a cluster.
#[derive(Debug)]
pub(in crate::gateway) struct Sharded {
    cluster: Arc<Cluster>,
    deadline: Duration,
    /// Those that are followed nowhere now, and when that is tried again.
    astray: BTreeSet<Sku>,
    again_at: Instant,
    listeners: HashMap<Id, Listener>,
    tasks: JoinSet<()>,
    teller: UnboundedSender<(Id, News)>,
    news: UnboundedReceiver<(Id, News)>,
}

/// Who listens at one shard, and what for.
#[derive(Debug)]
struct Listener {
    shard: Arc<Shard>,
    skus: HashSet<Sku>,
    orders: UnboundedSender<Order>,
}

impl Sharded {
    /// Follows nothing yet; each call to a node has this deadline.
    pub fn new(cluster: Arc<Cluster>, deadline: Duration) -> Self {
        let (teller, news) = unbounded_channel();
        Self {
            cluster,
            deadline,
            astray: BTreeSet::new(),
            again_at: Instant::now(),
            listeners: HashMap::new(),
            tasks: JoinSet::new(),
            teller,
            news,
        }
    }

    /// Has these SKUs told of; each is told of once when that has begun.
    pub fn follow<'a>(&mut self, skus: impl Iterator<Item = &'a Sku>) {
        self.astray.extend(skus.cloned());
        self.place();
    }

    /// Has these SKUs no longer told of.
    pub fn leave<'a>(&mut self, skus: impl Iterator<Item = &'a Sku>) {
        for sku in skus {
            self.astray.remove(sku);
            let at = self.listeners.values_mut();
            for listener in at.filter(|listener| listener.skus.contains(sku)) {
                listener.leave(sku);
            }
        }
        self.close_idle();
    }

    /// Has each connection end on which the server does not answer, and each SKU followed where it
    /// belongs, should nobody have said that it has moved.
    pub fn pulse(&mut self) {
        let mut strayed = Vec::new();
        for listener in self.listeners.values_mut() {
            let is_elsewhere = |sku: &&Sku| {
                let shard = self.cluster.shard_of(Some(key(sku).as_bytes()));
                shard.is_none_or(|shard| !Arc::ptr_eq(&shard, &listener.shard))
            };
            let elsewhere: Vec<Sku> = listener.skus.iter().filter(is_elsewhere).cloned().collect();
            elsewhere.iter().for_each(|sku| listener.leave(sku));
            listener.order(Order::Pulse);
            strayed.extend(elsewhere);
        }
        self.close_idle();
        self.stray(strayed);
    }

    /// The next SKU that has changed, or may have while it was followed nowhere.
    pub async fn next(&mut self) -> Sku {
        loop {
            tokio::select! {
                Some((listener, news)) = self.news.recv() => match news {
                    News::Changed(sku) => return sku,
                    News::Left(sku) => self.left(listener, sku),
                },
                Some(ended) = self.tasks.join_next_with_id() => {
                    let listener = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(lost) = self.listeners.remove(&listener) {
                        self.stray(lost.skus);
                    }
                }
                () = sleep_until(self.again_at), if !self.astray.is_empty() => self.place(),
            }
        }
    }

    fn left(&mut self, listener: Id, sku: Sku) {
        // Else it was told to leave it.
        if let Some(listener) = self.listeners.get_mut(&listener)
            && listener.skus.remove(&sku)
        {
            self.cluster.suspect();
            self.close_idle();
            self.stray([sku]);
        }
    }

    fn stray(&mut self, skus: impl IntoIterator<Item = Sku>) {
        if self.astray.is_empty() {
            self.again_at = Instant::now() + PAUSE;
        }
        self.astray.extend(skus);
    }

    /// Has each followed at the shard that answers for it, if one is known.
    fn place(&mut self) {
        for sku in std::mem::take(&mut self.astray) {
            let shard = self.cluster.shard_of(Some(key(&sku).as_bytes()));
            let known = shard.and_then(|shard| shard.primary().map(|primary| (shard, primary)));
            let Some((shard, primary)) = known else {
                self.astray.insert(sku);
                continue;
            };
            let mut listeners = self.listeners.values_mut();
            match listeners.find(|listener| Arc::ptr_eq(&listener.shard, &shard)) {
                Some(listener) => listener.follow(sku),
                None => self.listen(shard, primary, sku),
            }
        }
        self.again_at = Instant::now() + PAUSE;
    }

    /// Begins to listen at a shard for one SKU.
    fn listen(&mut self, shard: Arc<Shard>, primary: Arc<Server>, sku: Sku) {
        let (orders, taken) = unbounded_channel();
        let listening = Listening {
            cluster: self.cluster.clone(),
            shard: shard.clone(),
            primary,
            deadline: self.deadline,
            news: self.teller.clone(),
        };
        let id = self.tasks.spawn(listening.run(taken)).id();
        let mut listener = Listener {
            shard,
            skus: HashSet::new(),
            orders,
        };
        listener.follow(sku);
        self.listeners.insert(id, listener);
    }

    fn close_idle(&mut self) {
        // A listener ends when it can be told nothing any more.
        self.listeners
            .retain(|_, listener| !listener.skus.is_empty());
    }
}

impl Listener {
    fn follow(&mut self, sku: Sku) {
        self.order(Order::Follow(sku.clone()));
        self.skus.insert(sku);
    }

    fn leave(&mut self, sku: &Sku) {
        self.skus.remove(sku);
        self.order(Order::Leave(sku.clone()));
    }

    fn order(&self, order: Order) {
        // What one that has ended was to follow is followed anew as soon as that is noticed.
        let _ordered = self.orders.send(order);
    }
}
