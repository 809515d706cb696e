//! The keys of another issuer, published as a JWK Set and kept for a while.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::ensure;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url, redirect};
use tokio::sync::Mutex;

use super::Error;

/// Keys that the issuer has withdrawn are believed for at most so long, while it answers.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Whoever invents key ids cannot have the issuer asked more often than this.
const PAUSE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(3);
const MOST_BYTES: usize = 256 * 1024;

/// What is at `jwt.jwks_url`.
pub(super) struct PublishedKeys {
    client: Client,
    url: Url,
    algorithm: Algorithm,
    kept: RwLock<Kept>,
    /// Held by who asks the issuer, so that a crowd asks once.
    asking: Mutex<()>,
}

#[derive(Clone, Default)]
struct Kept {
    keys: Option<Arc<JwkSet>>,
    fetched_at: Option<Instant>,
    asked_at: Option<Instant>,
    failure: Option<String>,
}

/// What to do about a key that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What is kept is good.
    Use,
    /// Ask the issuer, if nobody does; what is kept is good meanwhile.
    Refresh,
    /// Ask the issuer, or wait for who does.
    Wait,
    /// It was asked just now.
    GiveUp,
}

fn decide(is_known: bool, kept_for: Option<Duration>, since_asked: Option<Duration>) -> Step {
    let may_ask = since_asked.is_none_or(|since| since >= PAUSE);
    let is_fresh = kept_for.is_some_and(|age| age < KEPT_FOR);
    match (is_known, may_ask) {
        (true, true) if !is_fresh => Step::Refresh,
        (true, _) => Step::Use,
        (false, true) => Step::Wait,
        (false, false) => Step::GiveUp,
    }
}

impl PublishedKeys {
    pub(super) fn new(url: &str, algorithm: Algorithm) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(TIMEOUT);
        Ok(Self {
            client: client.redirect(redirect::Policy::none()).build()?,
            url: url.parse()?,
            algorithm,
            kept: RwLock::default(),
            asking: Mutex::default(),
        })
    }

    /// The key that a token names; without a name, the only one.
    pub(super) async fn find(&self, kid: Option<&str>) -> Result<DecodingKey, Error> {
        match self.look(kid) {
            (Some(key), Step::Refresh) => {
                if let Ok(_asking) = self.asking.try_lock() {
                    self.ask().await;
                    return self.look(kid).0.ok_or_else(|| self.nothing_found());
                }
                Ok(key)
            }
            (Some(key), _) => Ok(key),
            (None, Step::Wait) => {
                let _asking = self.asking.lock().await;
                // Who was waited for may have brought it.
                if let (None, Step::Wait) = self.look(kid) {
                    self.ask().await;
                }
                self.look(kid).0.ok_or_else(|| self.nothing_found())
            }
            (None, _) => Err(self.nothing_found()),
        }
    }

    fn look(&self, kid: Option<&str>) -> (Option<DecodingKey>, Step) {
        let kept = self.kept();
        let keys = kept.keys.as_deref();
        let found = keys.and_then(|keys| choose(keys, kid, self.algorithm));
        let since = |at: Option<Instant>| at.map(|at| at.elapsed());
        let (kept_for, since_asked) = (since(kept.fetched_at), since(kept.asked_at));
        let step = decide(found.is_some(), kept_for, since_asked);
        (found, step)
    }

    fn nothing_found(&self) -> Error {
        let kept = self.kept();
        match kept.keys {
            None => Error::KeysAway(kept.failure.unwrap_or_default()),
            Some(_) => Error::Refused("the issuer has published no such key"),
        }
    }

    async fn ask(&self) {
        let fetched = self.fetch().await;
        let mut kept = self.kept();
        let now = Instant::now();
        kept.asked_at = Some(now);
        match fetched {
            Ok(keys) => {
                kept.keys = Some(Arc::new(keys));
                kept.fetched_at = Some(now);
                kept.failure = None;
            }
            Err(error) => {
                tracing::warn!(%error, "the keys at jwt.jwks_url cannot be had");
                kept.failure = Some(error.to_string());
            }
        }
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let response = self.client.get(self.url.clone()).send().await?;
        let mut response = response.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            ensure!(body.len() <= MOST_BYTES, "more than {MOST_BYTES} bytes");
        }
        Ok(serde_json::from_slice(&body)?)
    }

    fn kept(&self) -> Kept {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }
}

/// A key that is for signatures, and for those of `algorithm`.
fn choose(keys: &JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let is_fit = |key: &&Jwk| {
        let purpose = key.common.public_key_use.as_ref();
        let known = key.common.key_algorithm;
        purpose.is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && known.is_none_or(|known| known == KeyAlgorithm::from(algorithm))
    };
    let mut fit = keys.keys.iter().filter(is_fit);
    let key = match kid {
        Some(kid) => fit.find(|key| key.common.key_id.as_deref() == Some(kid))?,
        None => fit.next().filter(|_| fit.next().is_none())?,
    };
    let key = DecodingKey::from_jwk(key).ok()?;
    (key.family() == algorithm.family()).then_some(key)
}

#[cfg(test)]
#[path = "published_keys_tests.rs"]
mod tests;
