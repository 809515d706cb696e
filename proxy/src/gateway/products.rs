//! What Redis keeps of the catalogue, `product:{<sku>}`, and the channel on which changes are told.

use std::time::Duration;

use futures::{Stream, StreamExt};
use redis::cmd;
use serde::{Deserialize, Serialize};

use super::{Error, Gateway};
use crate::catalogue::{Entry, Sku};

/// Keeps a reading, and tells of a change.
const KEEP: &str = include_str!("product_keep.lua");
/// Where changes are told, as `<sku> <revision>`.
const CHANGED: &str = "product:changed";

/// What the catalogue was found to have under a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The entry's revision; 0 where there is no entry.
    pub revision: i64,
    /// The entry, if there is one.
    pub entry: Option<Entry>,
}

/// A change that somebody told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which product has changed.
    pub sku: Sku,
    /// What its revision is now.
    pub revision: i64,
}

impl Kept {
    /// A reading of the catalogue.
    pub fn of(entry: Option<Entry>) -> Self {
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        Self { revision, entry }
    }
}

impl Gateway {
    /// What is kept of a product, and for how long it still is.
    pub async fn kept_product(&self, sku: &Sku) -> Result<Option<(Kept, Duration)>, Error> {
        let get = cmd("GET").arg(key(sku)).to_owned();
        let ttl = cmd("PTTL").arg(key(sku)).to_owned();
        let (text, ttl_ms): (Option<String>, i64) = self.call_atomically(&[get, ttl]).await?;
        let kept = text.map(|text| serde_json::from_str(&text)).transpose();
        let kept: Option<Kept> = kept.map_err(|error| Error::unknown("GET", error))?;
        let remaining = Duration::from_millis(u64::try_from(ttl_ms).unwrap_or_default());
        Ok(kept.map(|kept| (kept, remaining)))
    }

    /// Keeps a reading for `ttl_ms` unless a newer one is kept, and answers the revision that is
    /// kept then.
    pub async fn keep_product(&self, sku: &Sku, kept: &Kept, ttl_ms: u64) -> Result<i64, Error> {
        self.call(&keep(sku, kept, ttl_ms)).await
    }

    /// The same, and tells every proxy that it is a change.
    pub async fn tell_product(&self, sku: &Sku, kept: &Kept, ttl_ms: u64) -> Result<i64, Error> {
        let mut command = keep(sku, kept, ttl_ms);
        command.arg(CHANGED).arg(format!("{sku} {}", kept.revision));
        self.call(&command).await
    }

    /// The changes that are told from now on. It ends with its connection, and when another server
    /// is the primary.
    ///
    /// # Errors
    /// When the server does not answer in time.
    pub async fn product_changes(
        &self,
    ) -> Result<impl Stream<Item = Changed> + Send + use<>, Error> {
        let (shard, primary) = self.any_primary()?;
        let subscription = primary.subscribe(|mut subscription| async move {
            subscription.subscribe(CHANGED).await?;
            Ok(subscription)
        });
        let messages = subscription.await?.into_on_message();
        let messages = messages.take_until(shard.leaves(primary));
        Ok(messages.filter_map(async |message| changed(&message.get_payload::<String>().ok()?)))
    }
}

/// What somebody else may say on the channel is not believed to be a change.
fn changed(message: &str) -> Option<Changed> {
    let (sku, revision) = message.split_once(' ')?;
    Some(Changed {
        sku: sku.parse().ok()?,
        revision: revision.parse().ok()?,
    })
}

fn keep(sku: &Sku, kept: &Kept, ttl_ms: u64) -> redis::Cmd {
    let mut command = cmd("EVAL");
    command.arg(KEEP).arg(1).arg(key(sku));
    // Strings and numbers, which serde_json never refuses.
    let text = serde_json::to_string(kept).unwrap_or_default();
    command.arg(kept.revision).arg(text).arg(ttl_ms);
    command
}

fn key(sku: &Sku) -> String {
    format!("product:{{{sku}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_is_told_and_nothing_else_is_one() {
        let told = changed("TEA-CADDY 7").expect("a change");
        assert_eq!((told.sku.as_str(), told.revision), ("TEA-CADDY", 7));
        for message in ["", "TEA-CADDY", "TEA-CADDY seven", " 7", "a b 7"] {
            assert_eq!(changed(message), None, "{message:?}");
        }
    }
}
