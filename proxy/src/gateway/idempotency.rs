//! What is known of requests with an Idempotency-Key: `idem:{<user>}:<key>`, a JSON string that
//! ends by itself.

use redis::{Cmd, Value, cmd};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Gateway};

/// Sets the marker (or deletes it, without a second argument) unless another request's is there.
const FINISH: &str = "\
local found = redis.call('GET', KEYS[1]) \
if found and found ~= ARGV[1] then return 0 end \
if ARGV[2] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end \
return 1";

/// A request that was made under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// SHA-256 of what was asked for.
    pub request_hash: [u8; 32],
    /// Which attempt it is: only that one may end the marker.
    pub attempt: Uuid,
    /// What was answered; while there is nothing, the request is in flight.
    pub answer: Option<StoredAnswer>,
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

/// Whose key it is, and the key.
#[derive(Debug, Clone, Copy)]
pub struct ScopedKey<'a> {
    /// The user or guest.
    pub owner: Uuid,
    /// As the client sent it, without its quotes.
    pub key: &'a str,
}

impl Gateway {
    /// Sets the marker of a request that begins, for `lifetime_ms`. Where there is one already,
    /// changes nothing and gives that one.
    pub async fn claim_request(
        &self,
        key: ScopedKey<'_>,
        marker: &Marker,
        lifetime_ms: u64,
    ) -> Result<Option<Marker>, Error> {
        let mut command = cmd("SET");
        command.arg(name(key)).arg(text(marker));
        command.arg("NX").arg("GET").arg("PX").arg(lifetime_ms);
        let found: Option<String> = self.call(&command).await?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| Error::unknown("SET", error))
        };
        found.map(read).transpose()
    }

    /// Keeps the answer to the request of `marker` for `lifetime_ms`.
    pub async fn keep_answer(
        &self,
        key: ScopedKey<'_>,
        marker: &Marker,
        answer: StoredAnswer,
        lifetime_ms: u64,
    ) -> Result<(), Error> {
        let answered = Marker {
            answer: Some(answer),
            ..marker.clone()
        };
        let mut command = finish(key, marker);
        command.arg(text(&answered)).arg(lifetime_ms);
        self.call::<Value>(&command).await.map(drop)
    }

    /// Forgets the request of `marker`, so that it may be made anew.
    pub async fn forget_request(&self, key: ScopedKey<'_>, marker: &Marker) -> Result<(), Error> {
        self.call::<Value>(&finish(key, marker)).await.map(drop)
    }
}

fn finish(key: ScopedKey<'_>, marker: &Marker) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(FINISH).arg(1).arg(name(key)).arg(text(marker));
    command
}

fn name(ScopedKey { owner, key }: ScopedKey<'_>) -> String {
    format!("idem:{{{owner}}}:{key}")
}

/// A struct of strings and numbers, which serde_json never refuses.
fn text(marker: &Marker) -> String {
    serde_json::to_string(marker).unwrap_or_default()
}
