//! One connection to the primary of a shard, as long as it lasts, on which the server tells of the
//! SKUs that are followed there.
//!
//! It speaks RESP3, where news come between the answers. A server that gives a slot away says of
//! itself that it tells no more of it, in the words in which it answers `SUNSUBSCRIBE`; redis-rs
//! takes that for the answer to whatever is on its way, so answers are compared with what was asked.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, PushInfo, PushKind, Value, pipe};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task;

use super::Cluster;
use crate::catalogue::Sku;
use crate::gateway::error::{Error, Failure};
use crate::gateway::redirect::Advice;
use crate::gateway::server::{Server, subscribed};
use crate::gateway::shard::Shard;
use crate::gateway::updates::{channel, sku_of};

/// Orders sent as one batch.
const AT_ONCE: usize = 500;

/// What a listener is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Have it told of.
    Follow(Sku),
    /// Have it no longer told of.
    Leave(Sku),
    /// End unless the server still answers.
    Pulse,
}

/// What a listener has heard.
#[derive(Debug)]
pub(super) enum News {
    /// It has changed, or is followed only from now on.
    Changed(Sku),
    /// It is not followed here any more, or cannot be.
    Left(Sku),
}

/// Where a listener listens, and whom it tells.
#[derive(Debug)]
pub(super) struct Listening {
    pub cluster: Arc<Cluster>,
    pub shard: Arc<Shard>,
    pub primary: Arc<Server>,
    pub deadline: Duration,
    pub news: UnboundedSender<(task::Id, News)>,
}

impl Listening {
    /// Does what it is told, until nobody tells it any more, the connection is lost or another
    /// server is the primary.
    pub async fn run(self, orders: UnboundedReceiver<Order>) {
        let (sender, pushed) = unbounded_channel();
        let server = self.primary.address();
        let (connection, driver) = match self.primary.listen(sender).await {
            Ok(connected) => connected,
            Err(error) => {
                tracing::debug!(%server, %error, "a shard cannot be listened to; it is tried again");
                return;
            }
        };
        let ended = tokio::select! {
            () = driver => Err(Error::unknown("SSUBSCRIBE", "the connection is lost")),
            () = self.shard.clone().leaves(self.primary.clone()) => Ok(()),
            () = self.hear(pushed) => Ok(()),
            ended = self.obey(connection, orders) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%server, %error, "news of a shard's stock are interrupted; whoever watches gets the newest when they are back");
        }
    }

    async fn hear(&self, mut pushed: UnboundedReceiver<PushInfo>) {
        while let Some(push) = pushed.recv().await {
            let Some(sku) = sku_in(&push.data) else {
                continue;
            };
            match push.kind {
                PushKind::SSubscribe | PushKind::SMessage => self.tell(News::Changed(sku)),
                PushKind::SUnsubscribe => self.tell(News::Left(sku)),
                _ => {}
            }
        }
    }

    async fn obey(
        &self,
        mut connection: MultiplexedConnection,
        mut orders: UnboundedReceiver<Order>,
    ) -> Result<(), Error> {
        let mut batch = Vec::new();
        while orders.recv_many(&mut batch, AT_ONCE).await > 0 {
            // Channels of several slots cannot be in one command.
            let mut pipeline = pipe();
            for order in &batch {
                match order {
                    Order::Follow(sku) => pipeline.cmd("SSUBSCRIBE").arg(channel(sku)),
                    Order::Leave(sku) => pipeline.cmd("SUNSUBSCRIBE").arg(channel(sku)),
                    Order::Pulse => pipeline.cmd("PING"),
                };
            }
            let answers = connection.send_packed_commands(&pipeline, 0, batch.len());
            let answers = subscribed(self.deadline, answers).await?;
            for (order, answer) in batch.drain(..).zip(answers) {
                self.check(order, answer)?;
            }
        }
        Ok(())
    }

    fn check(&self, order: Order, answer: Value) -> Result<(), Error> {
        if is_answer(&order, &answer) {
            return Ok(());
        }
        let failure = match answer.extract_error() {
            Ok(_) => return Err(Error::unknown("SSUBSCRIBE", "another answer was due")),
            Err(error) => Failure::of("SSUBSCRIBE", &error),
        };
        match (failure.advice, order) {
            (Advice::Moved(to), Order::Follow(sku)) => {
                self.cluster.moved(&to, &self.primary);
                self.tell(News::Left(sku));
                Ok(())
            }
            // It knows itself no more where the slot is.
            (Advice::Moved(_), Order::Leave(_)) => Ok(()),
            _ => Err(failure.error),
        }
    }

    fn tell(&self, news: News) {
        // Who does not listen any more has no use for it.
        let _told = self.news.send((task::id(), news));
    }
}

fn is_answer(order: &Order, answer: &Value) -> bool {
    match (order, answer) {
        (Order::Pulse, Value::SimpleString(_)) => true,
        (Order::Follow(sku), Value::Push { kind, data }) => {
            *kind == PushKind::SSubscribe && sku_in(data).as_ref() == Some(sku)
        }
        (Order::Leave(sku), Value::Push { kind, data }) => {
            *kind == PushKind::SUnsubscribe && sku_in(data).as_ref() == Some(sku)
        }
        _ => false,
    }
}

/// The SKU whose channel a push is about.
fn sku_in(data: &[Value]) -> Option<Sku> {
    let channel = String::from_redis_value_ref(data.first()?).ok()?;
    sku_of(&channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(kind: PushKind, sku: &Sku) -> Value {
        let channel = Value::BulkString(channel(sku).into_bytes());
        let data = vec![channel, Value::Int(1)];
        Value::Push { kind, data }
    }

    #[test]
    fn what_the_server_says_of_itself_is_no_answer_to_what_was_asked() {
        let (asked, moved): (Sku, Sku) = (
            "LAMP".parse().expect("a sku"),
            "VASE".parse().expect("a sku"),
        );
        let follow = Order::Follow(asked.clone());
        assert!(is_answer(&follow, &push(PushKind::SSubscribe, &asked)));
        assert!(!is_answer(&follow, &push(PushKind::SUnsubscribe, &moved)));
        let leave = Order::Leave(asked.clone());
        assert!(is_answer(&leave, &push(PushKind::SUnsubscribe, &asked)));
        assert!(!is_answer(&leave, &push(PushKind::SUnsubscribe, &moved)));
        let pong = Value::SimpleString("PONG".into());
        assert!(is_answer(&Order::Pulse, &pong) && !is_answer(&follow, &pong));
        let moved = push(PushKind::SUnsubscribe, &moved);
        assert!(!is_answer(&Order::Pulse, &moved));
    }
}
