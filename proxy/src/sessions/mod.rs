//! Sessions live in Redis, and a copy of each in MySQL: who is logged in goes on while Redis is away,
//! and after it has lost them.
//!
//! The [`beginnings`] and the end of a session are copied before they are answered, the time of its
//! last request is written [`behind`]. The copy only ever answers for Redis: what has ended there is never
//! begun again, and no request that Redis answers waits for it. [`copy`] decides what it is good for.

pub mod beginnings;
pub mod behind;
pub mod copy;
pub mod of_people;
mod token;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::beginnings::{Beginnings, NewCopy};
use self::behind::Touches;
use self::copy::{SessionCopy, Use, judge};
pub use self::token::SessionToken;
use crate::config;
use crate::gateway::sessions::{NewSession, Touched};
use crate::gateway::{self, Gateway};
use crate::store::{self, Store};

/// Sessions that are ended at once.
const AT_ONCE: usize = 256;
/// How long the beginning of a session waits for its copy.
const COPIED_WITHIN: Duration = Duration::from_secs(1);
/// What Redis may have lost of its last writes when it comes back.
const LOST_WRITES: Duration = Duration::from_secs(60);
/// Copies that are looked up at once for who shows a session that Redis does not know. Anybody can
/// make such up, and must not take the database's connections from those who buy.
const LOOKUPS: usize = 4;

/// Both places. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    gateway: Gateway,
    store: Store,
    lifetimes: config::Session,
    beginnings: Beginnings,
    touches: Touches,
    lookups: Arc<Semaphore>,
}

/// A session could not be ended for sure. The same may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In Redis.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// In MySQL.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Sessions {
    /// The sessions of this shop. Needs a runtime.
    pub fn new(gateway: Gateway, store: Store, lifetimes: config::Session) -> Self {
        Self {
            gateway,
            beginnings: Beginnings::start(store.clone()),
            store,
            lifetimes,
            touches: Touches::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }

    /// `SESSION.START`, and its copy. Without the copy the session lives in Redis alone.
    pub async fn start(&self, id: &str, session: &NewSession<'_>) -> Result<(), gateway::Error> {
        self.gateway.start_session(id, session).await?;
        let Some((id, user)) = Uuid::parse_str(id).ok().zip(session.user.parse().ok()) else {
            return Ok(());
        };
        let copy = NewCopy {
            id,
            digest: session.digest,
            user,
            roles: session.roles.to_owned(),
            longest_idle_ms: session.idle_ms,
            idle_ms: session.first_ms.min(session.absolute_ms),
            absolute_ms: session.absolute_ms,
        };
        let copied = tokio::time::timeout(COPIED_WITHIN, self.beginnings.write(copy)).await;
        if copied != Ok(true) {
            tracing::debug!(session = %id, "a session was begun before its copy was written, or without");
        }
        Ok(())
    }

    /// What a touch comes to that Redis answered with `touched`: where it does not know the session,
    /// or is away, the copy answers.
    pub async fn after_touch(
        &self,
        id: &str,
        digest: [u8; 32],
        touched: Result<Touched, gateway::Error>,
    ) -> Result<Touched, gateway::Error> {
        let Ok(session) = Uuid::parse_str(id) else {
            return touched;
        };
        match touched {
            Ok(touched) if touched.state == "OK" => {
                self.touches.note(session, touched.idle_ms);
                Ok(touched)
            }
            Ok(absent) if absent.state == "ABSENT" => {
                let brought_back = self.bring_back(session, id, digest).await;
                Ok(brought_back.unwrap_or(absent))
            }
            Err(error @ gateway::Error::Refused { .. }) => Err(error),
            Err(error) => {
                let copy = self.store.session_copy(session).await;
                // Without either, Redis is what the caller is told of.
                copy.map(|copy| judge(copy.as_ref(), digest, Use::InPlace))
                    .map_err(|_| error)
            }
            answered => answered,
        }
    }

    /// Starts a session again that Redis has lost, with the time that it has left.
    async fn bring_back(&self, session: Uuid, id: &str, digest: [u8; 32]) -> Option<Touched> {
        let copy = self.copy_to_bring_back(session).await?;
        let touched = judge(Some(&copy), digest, Use::BringBack);
        if touched.state != "OK" {
            return None;
        }
        let lost = NewSession {
            digest,
            user: &touched.user,
            roles: &touched.roles,
            idle_ms: touched.idle_ms.unsigned_abs(),
            first_ms: touched.idle_ms.unsigned_abs(),
            absolute_ms: touched.absolute_ms.unsigned_abs(),
        };
        // The index is lost with the session.
        let begun = match self.remember_again(&copy, id).await {
            Ok(()) => self.gateway.start_session(id, &lost).await,
            failed => failed,
        };
        if let Err(error) = begun {
            tracing::debug!(%error, "a lost session was not begun again");
            return None;
        }
        // Who logged out meanwhile did so before this or finds the session to end it.
        let still = self.copy_to_bring_back(session).await;
        if still.is_none_or(|copy| copy.is_ended) {
            let ended = self.gateway.end_session(id).await;
            if let Err(error) = ended {
                tracing::warn!(%error, "a session that ended while it was brought back lives until it is idle");
            }
            return None;
        }
        self.touches.note(session, touched.idle_ms);
        Some(touched)
    }

    async fn copy_to_bring_back(&self, session: Uuid) -> Option<SessionCopy> {
        let _turn = self.lookups.acquire().await.ok()?;
        let copy = self.store.session_copy(session).await;
        copy.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether redis has lost a session");
            None
        })
    }

    /// Ends a session for good: in the copy first, which so never brings it back. While Redis is away
    /// this is enough; it is told when it is back.
    pub async fn end(&self, id: &str) -> Result<(), Error> {
        if let Ok(session) = Uuid::parse_str(id) {
            self.store.end_session_copy(session).await?;
        }
        match self.gateway.end_session(id).await {
            Err(_) if self.gateway.is_away_for_session(id) => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Ends every session that has a copy of `user` but `kept`, also those that Redis has lost.
    pub async fn end_all_of(&self, user: Uuid, kept: Option<Uuid>) -> Result<(), Error> {
        let ended = self.store.end_session_copies_of(user, kept).await?;
        self.tell(&self.gateway, &ended).await.or_else(|error| {
            if self.gateway.is_away() {
                Ok(())
            } else {
                Err(error.into())
            }
        })
    }

    /// How long any session lives at most.
    pub fn longest_life(&self) -> Duration {
        Duration::from_millis(self.lifetimes.absolute_ms)
    }

    /// Tells the Redis that has the sessions that `concerns`, and was away for so long, of those that
    /// ended meanwhile, and of those whose end it may have lost.
    ///
    /// # Errors
    /// When a server is away; then Redis is not to be believed about sessions yet.
    pub async fn tell_ended(
        &self,
        gateway: &Gateway,
        away: Duration,
        concerns: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let mut ended = self.store.sessions_ended_within(away + LOST_WRITES).await?;
        ended.retain(|session| concerns(&session.to_string()));
        Ok(self.tell(gateway, &ended).await?)
    }

    /// Who is away is told when it is back.
    async fn tell(&self, gateway: &Gateway, ended: &[Uuid]) -> Result<(), gateway::Error> {
        for some in ended.chunks(AT_ONCE) {
            let told = some.iter().map(|session| async move {
                let id = session.to_string();
                match gateway.end_session(&id).await {
                    Err(_) if gateway.is_away_for_session(&id) => Ok(()),
                    told => told,
                }
            });
            join_all(told)
                .await
                .into_iter()
                .collect::<Result<(), _>>()?;
        }
        Ok(())
    }
}
