//! `/v1/users/me`: a user's own account and sessions.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions::{log_in, roles_of, tell_started};
use super::users::refuse_unfit;
use super::{Answer, Call, Kind, Problem, cookie, json, no_content};
use crate::gateway::sessions::SessionFacts;
use crate::people::{Email, User, password};

/// A user, as the user sees it.
#[derive(Serialize, JsonSchema)]
pub struct Me {
    /// The user's id: carts and orders belong to it.
    user_id: Uuid,
    /// What the user logs in with.
    email: Email,
    /// What the user may do.
    roles: Vec<String>,
}

/// A password in the place of another.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one so far.
    current: String,
    /// 8 to 128 characters.
    #[schemars(length(min = password::MIN_CHARACTERS, max = password::MAX_CHARACTERS))]
    new: String,
}

/// The sessions of a user.
#[derive(Serialize, JsonSchema)]
pub struct SessionList {
    /// The oldest first.
    sessions: Vec<SessionSummary>,
}

/// One of them; its secret is known to whoever holds it, and to nobody else.
#[derive(Serialize, JsonSchema)]
pub struct SessionSummary {
    session_id: String,
    /// True for the session that asks.
    current: bool,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    started_at: OffsetDateTime,
    /// When it was last heard of.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    last_seen_at: OffsetDateTime,
    /// Time until it ends without a request, ms.
    idle_ms: i64,
    /// Time until it ends in any case, ms.
    absolute_ms: i64,
}

/// `GET /v1/users/me`
pub async fn get(call: Call) -> Answer {
    let user = own_account(&call).await?;
    json(
        StatusCode::OK,
        &Me {
            user_id: user.id,
            email: user.email,
            roles: roles_of(&user.roles),
        },
    )
}

/// `PUT /v1/users/me/password`: ends every session of the user, and begins one in the place of the
/// one that asks.
pub async fn change_password(mut call: Call) -> Answer {
    let session = call.session().await?;
    let PasswordChange { current, new } = call.json().await?;
    refuse_unfit("new", &new)?;
    let account = own_account(&call).await?;
    let user = log_in(&call, account.email.as_str(), current).await?;
    let password_hash = call.app.passwords.hash(new).await?;
    if !call.app.store.set_password(&user, &password_hash).await? {
        let detail = "the password was changed a moment ago, by another request";
        return Err(Problem::new(Kind::BadCredentials, detail));
    }
    let sessions = &call.app.sessions;
    let ended = match sessions.end_all_but(user.id, None).await {
        // One without a copy that was not noted either, such as one that began before there was
        // an index.
        Ok(()) => sessions.end_of(user.id, &[session.id]).await,
        failed => failed,
    };
    ended.map_err(|error| {
        let detail = "the password is changed, but some sessions may live on; log in and end them with DELETE /v1/users/me/sessions";
        Problem::new(Kind::Unavailable, detail).because(error)
    })?;
    let user = User {
        password_hash,
        ..user
    };
    let started = sessions.start_for(&user).await?;
    tell_started(&call, StatusCode::OK, started)
}

/// `GET /v1/users/me/sessions`
pub async fn sessions(call: Call) -> Answer {
    let session = call.session().await?;
    let living = call.app.sessions.of(session.owner).await?;
    let summaries = living.into_iter();
    let summaries = summaries.map(|(id, facts)| summary(id, &facts, &session.id));
    let sessions = summaries.collect::<Result<_, _>>()?;
    json(StatusCode::OK, &SessionList { sessions })
}

/// `DELETE /v1/users/me/sessions`: all but the one that asks.
pub async fn end_other_sessions(call: Call) -> Answer {
    let session = call.session().await?;
    let sessions = &call.app.sessions;
    sessions
        .end_all_but(session.owner, Some(&session.id))
        .await?;
    no_content()
}

/// `DELETE /v1/users/me/sessions/{session_id}`
pub async fn end_session(call: Call) -> Answer {
    let session = call.session().await?;
    let id = call.id("session_id")?.to_string();
    let sessions = &call.app.sessions;
    let living = sessions.of(session.owner).await?;
    if !living.iter().any(|(living, _)| *living == id) {
        let detail = format!("you have no session {id}");
        return Err(Problem::new(Kind::NotFound, detail));
    }
    let is_current = id == session.id;
    sessions.end_of(session.owner, &[id]).await?;
    if is_current {
        return cookie::take(&call.app.config.http, no_content()?);
    }
    no_content()
}

async fn own_account(call: &Call) -> Result<User, Problem> {
    let owner = call.identity().await?.owner;
    // Who shows another issuer's token may have no account here.
    let user = call.app.store.user(owner).await?;
    user.ok_or_else(|| Problem::new(Kind::NotFound, "there is no account of yours here"))
}

fn summary(id: String, facts: &SessionFacts, current: &str) -> Result<SessionSummary, Problem> {
    Ok(SessionSummary {
        current: id == current,
        session_id: id,
        started_at: moment(facts.started_ms)?,
        last_seen_at: moment(facts.seen_ms)?,
        idle_ms: facts.idle_ms,
        absolute_ms: facts.absolute_ms,
    })
}

/// `ms` since 1970.
fn moment(ms: i64) -> Result<OffsetDateTime, Problem> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).map_err(Problem::internal)
}
