//! `/v1/sessions`: guests and users come, look around and go.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::Session;
use super::{Answer, Call, Kind, Problem, cookie, json, no_content, throttle};
use crate::catalogue::Sku;
use crate::people::{self, GUEST, User, password};
use crate::sessions::of_people::{StartError, Started};

/// As long as the session store takes it, whatever the characters are: 4 bytes each at most.
const MAX_PAGE_CHARACTERS: usize = 256;
const PAGE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// Who comes: a user with address and password, or a guest with neither.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        {
            "required": ["email", "password"],
            "properties": { "email": { "type": "string" }, "password": { "type": "string" } },
        },
        { "properties": { "email": { "type": "null" }, "password": { "type": "null" } } },
    ],
    "examples" = [{}],
))]
pub struct Login {
    email: Option<String>,
    password: Option<String>,
}

/// What is looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// At most 256 characters, none of them a control character.
    #[schemars(length(max = MAX_PAGE_CHARACTERS), extend("pattern" = PAGE))]
    page: Option<String>,
    item: Option<Sku>,
}

/// A session that has begun.
#[derive(Serialize, JsonSchema)]
pub struct StartedSession {
    /// What shows that the session is one's own: the cookie's value, and a bearer token.
    token: String,
    /// A user's id, or an id of the guest's own: carts and orders belong to it.
    owner: Uuid,
    /// What the session may do.
    roles: Vec<String>,
    /// Time until the session ends without a request, ms.
    idle_ms: u64,
    /// Time until it ends in any case, ms.
    absolute_ms: u64,
}

/// The session of who asks.
#[derive(Serialize, JsonSchema)]
pub struct CurrentSession {
    /// A user's id, or an id of the guest's own.
    owner: Uuid,
    /// What the session may do.
    roles: Vec<String>,
    #[serde(flatten)]
    life: SessionLife,
}

/// How a session stands.
#[derive(Serialize, JsonSchema)]
pub struct SessionLife {
    /// Views counted so far.
    page_views: i64,
    /// Time until the session ends without a request, ms.
    idle_ms: i64,
    /// Time until it ends in any case, ms.
    absolute_ms: i64,
}

/// What was viewed last.
#[derive(Serialize, JsonSchema)]
pub struct ViewedItems {
    /// SKUs, the newest first.
    items: Vec<String>,
}

/// `POST /v1/sessions`: always a fresh id and secret, so that one planted before a login is
/// worth nothing after it. The session that came along is replaced.
pub async fn start(mut call: Call) -> Answer {
    let login: Login = call.json().await?;
    let user = match (login.email, login.password) {
        (None, None) => None,
        (Some(email), Some(password)) => Some(log_in(&call, &email, password).await?),
        _ => {
            return Err(Problem::new(
                Kind::InvalidBody,
                "give email and password, or neither for a guest",
            ));
        }
    };
    let earlier = earlier(&call).await?;
    let sessions = &call.app.sessions;
    let started = match &user {
        Some(user) => sessions.start_for(user).await?,
        None => sessions.start_for_guest().await?,
    };
    if let Some(earlier) = earlier {
        replace(&call, earlier, user.as_ref()).await?;
    }
    tell_started(&call, StatusCode::CREATED, started)
}

/// The answer with which a shopper is given a session.
pub(super) fn tell_started(call: &Call, status: StatusCode, started: Started) -> Answer {
    let token = started.token.reveal();
    let answer = json(
        status,
        &StartedSession {
            token: token.clone(),
            owner: started.owner,
            roles: roles_of(&started.roles),
            idle_ms: started.idle_ms,
            absolute_ms: started.absolute_ms,
        },
    )?;
    cookie::give(&call.app.config.http, answer, &token, started.absolute_ms)
}

/// `GET /v1/sessions/current`
pub async fn current(call: Call) -> Answer {
    let session = call.session().await?;
    json(
        StatusCode::OK,
        &CurrentSession {
            owner: session.owner,
            roles: roles_of(&session.touched.roles),
            life: SessionLife::of(&session),
        },
    )
}

/// `DELETE /v1/sessions/current`
pub async fn end(call: Call) -> Answer {
    let session = call.session().await?;
    let sessions = &call.app.sessions;
    sessions.end_of(session.owner, &[session.id]).await?;
    cookie::take(&call.app.config.http, no_content()?)
}

/// `POST /v1/sessions/current/touch`
pub async fn touch(mut call: Call) -> Answer {
    let View { page, item } = call.json().await?;
    if let Some(page) = &page
        && (page.chars().count() > MAX_PAGE_CHARACTERS || page.chars().any(char::is_control))
    {
        let detail = format!(
            "page: must have at most {MAX_PAGE_CHARACTERS} characters and no control characters"
        );
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    let session = call
        .session_viewing(page.as_deref(), item.as_ref().map(Sku::as_str))
        .await?;
    json(StatusCode::OK, &SessionLife::of(&session))
}

/// `GET /v1/sessions/current/viewed`
pub async fn viewed(call: Call) -> Answer {
    let session = call.session().await?;
    let items = call.app.gateway.viewed_items(&session.id).await?;
    json(StatusCode::OK, &ViewedItems { items })
}

/// Who has this address and this password. Whoever has not is told so in the same words and after
/// the same work, whether or not there is such a user.
pub(super) async fn log_in(call: &Call, email: &str, password: String) -> Result<User, Problem> {
    let attempt = throttle::Login::count(call, email).await?;
    // What is no address has no user, and is answered like any other unknown one.
    let user = match email.parse() {
        Ok(email) => call.app.store.user_by_email(&email).await?,
        Err(_) => None,
    };
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = call.app.passwords.verify(password, stored).await?;
    let Some(user) = user.filter(|_| is_right) else {
        return Err(bad_credentials());
    };
    attempt.succeeded(call).await?;
    Ok(user)
}

fn bad_credentials() -> Problem {
    Problem::new(
        Kind::BadCredentials,
        "no user has this address and this password",
    )
}

/// The session that the request came with, if it lives.
async fn earlier(call: &Call) -> Result<Option<Session>, Problem> {
    if call.token().is_none() {
        return Ok(None);
    }
    match call.session().await {
        Ok(session) => Ok(Some(session)),
        // What the shopper had has ended by itself, or never was.
        Err(problem) if problem.kind() == Kind::NoSession => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Ends the session before; a guest's cart goes to the user who logs in.
async fn replace(call: &Call, earlier: Session, user: Option<&User>) -> Result<(), Problem> {
    if let Some(user) = user
        && is_guest(&earlier)
    {
        let ttl_ms = call.app.config.cart.ttl_ms;
        let gateway = &call.app.gateway;
        gateway.merge_carts(earlier.owner, user.id, ttl_ms).await?;
    }
    let sessions = &call.app.sessions;
    Ok(sessions.end_of(earlier.owner, &[earlier.id]).await?)
}

fn is_guest(session: &Session) -> bool {
    people::split_roles(&session.touched.roles).any(|role| role == GUEST)
}

/// Roles as a list.
pub(super) fn roles_of(roles: &str) -> Vec<String> {
    people::split_roles(roles).map(str::to_owned).collect()
}

impl SessionLife {
    fn of(session: &Session) -> Self {
        Self {
            page_views: session.touched.page_views,
            idle_ms: session.touched.idle_ms,
            absolute_ms: session.touched.absolute_ms,
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NoAnswer(error) => error.into(),
            StartError::UserChanged => bad_credentials(),
            StartError::NoRandomness(error) => Self::internal(error),
        }
    }
}

impl From<password::Error> for Problem {
    fn from(error: password::Error) -> Self {
        match error {
            password::Error::Busy => Self::new(
                Kind::Overloaded,
                "too many people log in at once; try again in a moment",
            ),
            error => Self::internal(error),
        }
    }
}
