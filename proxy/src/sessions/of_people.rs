//! How the sessions of people begin, and which of them a user has.
//!
//! A session and the index of its user are in different slots of Redis, so each step leaves only
//! what the next one repairs: the index names a session before it begins, and until after it has
//! ended.

use futures::future::try_join_all;
use uuid::Uuid;

use super::copy::SessionCopy;
use super::{Error, SessionToken, Sessions};
use crate::gateway::sessions::{NewSession, SessionFacts};
use crate::gateway::{self, Gateway};
use crate::people::{GUEST, User};

/// A session that has begun.
pub struct Started {
    /// What shows that it is one's own.
    pub token: SessionToken,
    /// A user's id, or an id of the guest's own.
    pub owner: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// Time until it ends without a request, ms.
    pub idle_ms: u64,
    /// Time until it ends in any case, ms.
    pub absolute_ms: u64,
}

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A server gave no answer.
    #[error(transparent)]
    NoAnswer(#[from] Error),
    /// The user's password or roles are others since they were read.
    #[error("the user has changed meanwhile")]
    UserChanged,
    /// The system has no randomness to give.
    #[error("no secret can be drawn: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

impl Sessions {
    /// Begins a guest's session, which gets its longer life with the second request.
    ///
    /// # Errors
    /// When Redis gives no answer.
    pub async fn start_for_guest(&self) -> Result<Started, StartError> {
        let lifetimes = &self.lifetimes;
        let idle_ms = lifetimes.guest_idle_ms.min(lifetimes.absolute_ms);
        let first_ms = lifetimes.guest_first_ms.min(idle_ms);
        let owner = Uuid::new_v4();
        self.start_drawn(SessionToken::generate, |token| Beginning {
            token,
            owner,
            roles: GUEST.into(),
            idle_ms,
            first_ms,
        })
        .await
    }

    /// Begins a user's session. Beyond the most that a user may have, the oldest end.
    ///
    /// # Errors
    /// When a server gives no answer, or the user has changed since `user` was read.
    pub async fn start_for(&self, user: &User) -> Result<Started, StartError> {
        let idle_ms = self.lifetimes.idle_ms;
        let started = self
            .start_drawn(SessionToken::generate, |token| Beginning {
                token,
                owner: user.id,
                roles: user.roles.clone(),
                idle_ms,
                first_ms: idle_ms,
            })
            .await?;
        // Who changes a user ends the sessions that are noted. So either this one was, or the change
        // is seen here.
        let unchanged = self.store.is_unchanged(user).await;
        if !unchanged.map_err(Error::from)? {
            self.end_of(user.id, &[started.token.id]).await?;
            return Err(StartError::UserChanged);
        }
        Ok(started)
    }

    /// Ends sessions of a user or guest.
    ///
    /// # Errors
    /// When a server gives no answer; then some may live on.
    pub async fn end_of(&self, owner: Uuid, ids: &[String]) -> Result<(), Error> {
        try_join_all(ids.iter().map(|id| self.end(id))).await?;
        unless_away(
            &self.gateway,
            self.gateway.forget_sessions(owner, ids).await,
        )
    }

    /// Ends all sessions of a user but `kept`.
    ///
    /// # Errors
    /// When a server gives no answer; then some may live on.
    pub async fn end_all_but(&self, user: Uuid, kept: Option<&str>) -> Result<(), Error> {
        let copy_kept = kept.and_then(|id| Uuid::parse_str(id).ok());
        self.end_all_of(user, copy_kept).await?;
        // Those without a copy.
        match self.of(user).await {
            Ok(living) => {
                let others = living.into_iter().map(|(id, _)| id);
                let others: Vec<_> = others.filter(|id| Some(id.as_str()) != kept).collect();
                self.end_of(user, &others).await
            }
            Err(error) => unless_away(&self.gateway, Err(error)),
        }
    }

    /// The sessions of a user that live, the oldest first.
    ///
    /// # Errors
    /// When Redis gives no answer.
    pub async fn of(&self, user: Uuid) -> Result<Vec<(String, SessionFacts)>, gateway::Error> {
        let noted = self.gateway.remembered_sessions(user).await?;
        // The connection is multiplexed, so these leave as one batch.
        let found = noted.iter().map(|(id, _)| self.gateway.session_facts(id));
        let found = try_join_all(found).await?;
        let (mut living, mut gone) = (Vec::new(), Vec::new());
        for (noted, facts) in noted.into_iter().zip(found) {
            match facts {
                Some(facts) if facts.user == user.to_string() => living.push((noted.0, facts)),
                _ => gone.push(noted),
            }
        }
        self.gateway.strike_out_sessions(user, &gone).await?;
        living.sort_by(|(id, facts), (other, others)| {
            (facts.started_ms, id).cmp(&(others.started_ms, other))
        });
        Ok(living)
    }

    /// Begins a session with a token that `draw` gives; an id that is taken is given up for another.
    ///
    /// # Errors
    /// When Redis gives no answer.
    pub async fn start_drawn(
        &self,
        mut draw: impl FnMut() -> Result<SessionToken, getrandom::Error>,
        begin: impl Fn(SessionToken) -> Beginning,
    ) -> Result<Started, StartError> {
        loop {
            let beginning = begin(draw()?);
            match self.begin(&beginning).await {
                Ok(()) => return Ok(beginning.started(self.lifetimes.absolute_ms)),
                Err(error) if error.has_prefix("EXISTS") => {
                    let ids = [beginning.token.id];
                    let forgotten = self.gateway.forget_sessions(beginning.owner, &ids).await;
                    forgotten.map_err(Error::from)?;
                }
                Err(error) => return Err(Error::from(error).into()),
            }
        }
    }

    async fn begin(&self, beginning: &Beginning) -> Result<(), gateway::Error> {
        let Beginning { token, owner, .. } = beginning;
        let session = NewSession {
            digest: token.digest(),
            user: &owner.to_string(),
            roles: &beginning.roles,
            idle_ms: beginning.idle_ms,
            first_ms: beginning.first_ms,
            absolute_ms: self.lifetimes.absolute_ms,
        };
        if beginning.roles == GUEST {
            return self.start(&token.id, &session).await;
        }
        self.remember(*owner, &token.id).await?;
        self.start(&token.id, &session).await?;
        // Who listed the sessions meanwhile has struck it out as one that is gone.
        if self.remember(*owner, &token.id).await? {
            self.end_excess(*owner).await?;
        }
        Ok(())
    }

    /// Notes a session that begins again; guests' are not noted.
    pub(super) async fn remember_again(
        &self,
        copy: &SessionCopy,
        id: &str,
    ) -> Result<(), gateway::Error> {
        if copy.roles != GUEST {
            self.remember(copy.user, id).await?;
        }
        Ok(())
    }

    /// True when there are more than a user may have, if they all live.
    async fn remember(&self, user: Uuid, id: &str) -> Result<bool, gateway::Error> {
        let absolute_ms = self.lifetimes.absolute_ms;
        let count = self.gateway.remember_session(user, id, absolute_ms).await?;
        Ok(count > self.lifetimes.max_per_user)
    }

    /// Who sees only some of the sessions ends the oldest of those, and the newest of all are never
    /// among them: their order stays as it is.
    async fn end_excess(&self, user: Uuid) -> Result<(), gateway::Error> {
        let living = self.of(user).await?;
        let excess = living.len().saturating_sub(self.lifetimes.max_per_user);
        let oldest = living.into_iter().take(excess).map(|(id, _)| id);
        let oldest: Vec<_> = oldest.collect();
        if let Err(error) = self.end_of(user, &oldest).await {
            tracing::warn!(%error, "a user has more sessions than one may have");
        }
        Ok(())
    }
}

/// A session that is about to begin.
pub struct Beginning {
    /// What will show that it is one's own.
    pub token: SessionToken,
    /// Whose it will be.
    pub owner: Uuid,
    /// Roles, separated by commas.
    pub roles: String,
    /// Ends after this long without a request, ms.
    pub idle_ms: u64,
    /// Ends after this long if there is no second request, ms.
    pub first_ms: u64,
}

impl Beginning {
    fn started(self, absolute_ms: u64) -> Started {
        Started {
            token: self.token,
            owner: self.owner,
            roles: self.roles,
            idle_ms: self.first_ms,
            absolute_ms,
        }
    }
}

/// The copies have been told, and Redis is when it is back.
fn unless_away(gateway: &Gateway, done: Result<(), gateway::Error>) -> Result<(), Error> {
    match done {
        Err(_) if gateway.is_away() => Ok(()),
        done => Ok(done?),
    }
}
