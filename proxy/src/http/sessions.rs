//! `/v1/sessions`: guests and users come, look around and go.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Session, Token};
use super::{Answer, Call, Kind, Problem, json, no_content};
use crate::app::App;
use crate::catalogue::Sku;
use crate::config;
use crate::gateway::sessions::NewSession;
use crate::people::{GUEST, User, password};

const MAX_PAGE_BYTES: usize = 512;

/// Who comes: a user with address and password, or a guest with neither.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    email: Option<String>,
    password: Option<String>,
}

/// What is looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// At most 512 bytes.
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
        (Some(email), Some(password)) => Some(log_in(&call.app, &email, password).await?),
        _ => {
            return Err(Problem::new(
                Kind::InvalidBody,
                "give email and password, or neither for a guest",
            ));
        }
    };
    let (owner, roles) = match &user {
        Some(user) => (user.id, user.roles.as_str()),
        None => (Uuid::new_v4(), GUEST),
    };
    let lifetimes = &call.app.config.session;
    let absolute_ms = lifetimes.absolute_ms;
    let idle_ms = match user {
        Some(_) => lifetimes.idle_ms,
        None => lifetimes.guest_idle_ms.min(absolute_ms),
    };
    let token = Token::generate().map_err(Problem::internal)?;
    let session = NewSession {
        digest: token.digest(),
        user: &owner.to_string(),
        roles,
        idle_ms,
        absolute_ms,
    };
    call.app.sessions.start(&token.id, &session).await?;
    replace_earlier(&call, user.as_ref()).await?;

    let answer = json(
        StatusCode::CREATED,
        &StartedSession {
            token: token.reveal(),
            owner,
            roles: split_roles(roles),
            idle_ms,
            absolute_ms,
        },
    )?;
    with_cookie(&call.app, answer, &token.reveal(), absolute_ms / 1000)
}

/// `GET /v1/sessions/current`
pub async fn current(call: Call) -> Answer {
    let session = call.session().await?;
    uncached(json(
        StatusCode::OK,
        &CurrentSession {
            owner: session.owner,
            roles: split_roles(&session.touched.roles),
            life: SessionLife::of(&session),
        },
    )?)
}

/// `DELETE /v1/sessions/current`
pub async fn end(call: Call) -> Answer {
    let session = call.session().await?;
    call.app.sessions.end(&session.id).await?;
    with_cookie(&call.app, no_content()?, "", 0)
}

/// `POST /v1/sessions/current/touch`
pub async fn touch(mut call: Call) -> Answer {
    let View { page, item } = call.json().await?;
    if let Some(page) = &page
        && (page.len() > MAX_PAGE_BYTES || page.chars().any(char::is_control))
    {
        let detail =
            format!("page: must have at most {MAX_PAGE_BYTES} bytes and no control characters");
        return Err(Problem::new(Kind::InvalidValue, detail));
    }
    let session = call
        .session_viewing(page.as_deref(), item.as_ref().map(Sku::as_str))
        .await?;
    uncached(json(StatusCode::OK, &SessionLife::of(&session))?)
}

/// `GET /v1/sessions/current/viewed`
pub async fn viewed(call: Call) -> Answer {
    let session = call.session().await?;
    let items = call.app.gateway.viewed_items(&session.id).await?;
    uncached(json(StatusCode::OK, &ViewedItems { items })?)
}

async fn log_in(app: &App, email: &str, password: String) -> Result<User, Problem> {
    // What is no address has no user, and is answered like any other unknown one.
    let user = match email.parse() {
        Ok(email) => app.store.user_by_email(&email).await?,
        Err(_) => None,
    };
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = password::verify(password, stored)
        .await
        .map_err(Problem::internal)?;
    let user = user.filter(|_| is_right);
    user.ok_or_else(|| {
        Problem::new(
            Kind::BadCredentials,
            "no user has this address and this password",
        )
    })
}

/// Ends the session that the request came with; a guest's cart goes to the user who logs in.
async fn replace_earlier(call: &Call, user: Option<&User>) -> Result<(), Problem> {
    if call.token().is_none() {
        return Ok(());
    }
    let earlier = match call.session().await {
        Ok(session) => session,
        // What the shopper had has ended by itself, or never was.
        Err(problem) if problem.kind() == Kind::NoSession => return Ok(()),
        Err(problem) => return Err(problem),
    };
    if let Some(user) = user
        && is_guest(&earlier)
    {
        let ttl_ms = call.app.config.cart.ttl_ms;
        call.app
            .gateway
            .merge_carts(earlier.owner, user.id, ttl_ms)
            .await?;
    }
    call.app.sessions.end(&earlier.id).await?;
    Ok(())
}

fn is_guest(session: &Session) -> bool {
    session.touched.roles.split(',').any(|role| role == GUEST)
}

fn split_roles(roles: &str) -> Vec<String> {
    let roles = roles.split(',').filter(|role| !role.is_empty());
    roles.map(str::to_owned).collect()
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

fn with_cookie(
    app: &App,
    mut answer: hyper::Response<super::Body>,
    value: &str,
    max_age_s: u64,
) -> Answer {
    let cookie = cookie(&app.config.http, value, max_age_s);
    let cookie = HeaderValue::from_str(&cookie).map_err(Problem::internal)?;
    answer.headers_mut().insert(SET_COOKIE, cookie);
    uncached(answer)
}

/// What a session answers is one shopper's own.
fn uncached(mut answer: hyper::Response<super::Body>) -> Answer {
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// A `Set-Cookie` value. Scripts cannot read the cookie (HttpOnly), and other sites' forms do
/// not bring it along (SameSite).
fn cookie(http: &config::Http, value: &str, max_age_s: u64) -> String {
    let name = http.session_cookie();
    let secure = if http.plain_http_cookies {
        ""
    } else {
        "; Secure"
    };
    format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_tls_the_cookie_keeps_the_rules_of_its_prefix() {
        let cookie = cookie(&config::Http::default(), "id.secret", 60);
        assert_eq!(
            cookie,
            "__Host-holdfast_session=id.secret; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn without_tls_a_browser_still_takes_it() {
        let http = config::Http {
            plain_http_cookies: true,
            ..config::Http::default()
        };
        assert_eq!(
            cookie(&http, "", 0),
            "holdfast_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn no_roles_are_none() {
        assert!(split_roles("").is_empty());
        assert_eq!(split_roles("customer,admin"), ["customer", "admin"]);
    }
}
