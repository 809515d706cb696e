//! What the module tells of stock: its `inventory.updated` messages, on connections of their own.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::TakeUntil;
use futures::{FutureExt, StreamExt};
use redis::aio::{PubSubSink, PubSubStream};

use super::cluster::updates::Sharded;
use super::inventory::key;
use super::server::subscribed;
use super::shape::Shape;
use super::{Error, Gateway};
use crate::catalogue::Sku;

const CHANNELS: &str = "inventory.updated:";
/// A channel on which nothing is told, to ask whether the connection still stands.
const PULSE: &str = "inventory.updated:inv:{readiness}";
/// Channels to one command.
const AT_ONCE: usize = 500;

/// What tells of the SKUs that are followed.
pub struct Updates(Source);

enum Source {
    /// A server that has them all.
    Server(Subscribed),
    /// A cluster tells of each in its own shard.
    Cluster(Sharded),
}

/// A connection on which a server tells of what is subscribed to.
struct Subscribed {
    commands: PubSubSink,
    messages: TakeUntil<PubSubStream, BoxFuture<'static, ()>>,
    deadline: Duration,
}

impl Gateway {
    /// Follows nothing yet; connects, unless what is followed decides where to.
    pub async fn updates(&self) -> Result<Updates, Error> {
        if let Shape::Cluster(cluster) = &*self.shape {
            let sharded = Sharded::new(cluster.clone(), self.deadline);
            return Ok(Updates(Source::Cluster(sharded)));
        }
        let (shard, primary) = self.any_primary()?;
        let connection = primary.subscribe(|connection| async { Ok(connection) });
        let (commands, messages) = connection.await?.split();
        Ok(Updates(Source::Server(Subscribed {
            commands,
            messages: messages.take_until(shard.leaves(primary).boxed()),
            deadline: self.deadline,
        })))
    }
}

impl Updates {
    /// Has these SKUs told of, from the moment on when this is answered; in a cluster from when
    /// each is told of for the first time.
    pub async fn follow(&mut self, skus: impl Iterator<Item = &Sku>) -> Result<(), Error> {
        match &mut self.0 {
            Source::Cluster(sharded) => sharded.follow(skus),
            Source::Server(server) => {
                for channels in channels(skus).chunks(AT_ONCE) {
                    subscribed(server.deadline, server.commands.subscribe(channels)).await?;
                }
            }
        }
        Ok(())
    }

    /// Has these SKUs no longer told of.
    pub async fn leave(&mut self, skus: impl Iterator<Item = &Sku>) -> Result<(), Error> {
        match &mut self.0 {
            Source::Cluster(sharded) => sharded.leave(skus),
            Source::Server(server) => {
                for channels in channels(skus).chunks(AT_ONCE) {
                    subscribed(server.deadline, server.commands.unsubscribe(channels)).await?;
                }
            }
        }
        Ok(())
    }

    /// Fails unless the server still answers on this connection. In a cluster such a connection is
    /// made anew instead.
    pub async fn pulse(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Source::Cluster(sharded) => sharded.pulse(),
            Source::Server(server) => {
                subscribed(server.deadline, server.commands.subscribe(PULSE)).await?;
            }
        }
        Ok(())
    }

    /// The next SKU that has changed, or may have while nobody told of it.
    ///
    /// # Errors
    /// When the connection is lost, or another server is the primary; in a cluster never.
    pub async fn next(&mut self) -> Result<Sku, Error> {
        let server = match &mut self.0 {
            Source::Cluster(sharded) => return Ok(sharded.next().await),
            Source::Server(server) => server,
        };
        while let Some(message) = server.messages.next().await {
            if let Some(sku) = sku_of(message.get_channel_name()) {
                return Ok(sku);
            }
        }
        Err(Error::unknown("SUBSCRIBE", "the connection is lost"))
    }
}

/// The channel on which a SKU is told of.
pub(super) fn channel(sku: &Sku) -> String {
    format!("{CHANNELS}{}", key(sku))
}

fn channels<'a>(skus: impl Iterator<Item = &'a Sku>) -> Vec<String> {
    skus.map(channel).collect()
}

/// The SKU that is told of on a channel.
pub(super) fn sku_of(channel: &str) -> Option<Sku> {
    let key = channel.strip_prefix(CHANNELS)?;
    let sku = key.strip_prefix("inv:{")?.strip_suffix('}')?;
    sku.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_read_as_it_is_written() {
        let sku: Sku = "TEA-CADDY".parse().expect("a sku");
        let channels = channels([&sku].into_iter());
        assert_eq!(channels, ["inventory.updated:inv:{TEA-CADDY}"]);
        assert_eq!(sku_of(&channels[0]), Some(sku));
        for other in [
            "inventory.updated:inv:{A}:leeds",
            "inventory.updated:{A}",
            "inv:{A}",
        ] {
            assert_eq!(sku_of(other), None, "{other}");
        }
    }
}
