//! What the module tells of stock: its `inventory.updated` messages, on a connection of their own.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::TakeUntil;
use futures::{FutureExt, StreamExt};
use redis::aio::{PubSubSink, PubSubStream};

use super::inventory::key;
use super::server::subscribed;
use super::{Error, Gateway};
use crate::catalogue::Sku;

const CHANNELS: &str = "inventory.updated:";
/// A channel on which nothing is told, to ask whether the connection still stands.
const PULSE: &str = "inventory.updated:inv:{readiness}";
/// Channels to one command.
const AT_ONCE: usize = 500;

/// A connection on which the server tells of the SKUs that are followed.
pub struct Updates {
    commands: PubSubSink,
    messages: TakeUntil<PubSubStream, BoxFuture<'static, ()>>,
    deadline: Duration,
}

impl Gateway {
    /// Connects, and follows nothing yet.
    pub async fn updates(&self) -> Result<Updates, Error> {
        let (shard, primary) = self.any_primary()?;
        let connection = primary.subscribe(|connection| async { Ok(connection) });
        let (commands, messages) = connection.await?.split();
        Ok(Updates {
            commands,
            messages: messages.take_until(shard.leaves(primary).boxed()),
            deadline: self.deadline,
        })
    }
}

impl Updates {
    /// Has these SKUs told of, from the moment on when this is answered.
    pub async fn follow(&mut self, skus: impl Iterator<Item = &Sku>) -> Result<(), Error> {
        for channels in channels(skus).chunks(AT_ONCE) {
            subscribed(self.deadline, self.commands.subscribe(channels)).await?;
        }
        Ok(())
    }

    /// Has these SKUs no longer told of.
    pub async fn leave(&mut self, skus: impl Iterator<Item = &Sku>) -> Result<(), Error> {
        for channels in channels(skus).chunks(AT_ONCE) {
            subscribed(self.deadline, self.commands.unsubscribe(channels)).await?;
        }
        Ok(())
    }

    /// Fails unless the server still answers on this connection.
    pub async fn pulse(&mut self) -> Result<(), Error> {
        subscribed(self.deadline, self.commands.subscribe(PULSE)).await
    }

    /// The next SKU that has changed.
    ///
    /// # Errors
    /// When the connection is lost, or another server is the primary.
    pub async fn next(&mut self) -> Result<Sku, Error> {
        while let Some(message) = self.messages.next().await {
            if let Some(sku) = sku_of(message.get_channel_name()) {
                return Ok(sku);
            }
        }
        Err(Error::unknown("SUBSCRIBE", "the connection is lost"))
    }
}

fn channels<'a>(skus: impl Iterator<Item = &'a Sku>) -> Vec<String> {
    skus.map(|sku| format!("{CHANNELS}{}", key(sku))).collect()
}

fn sku_of(channel: &str) -> Option<Sku> {
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
