//! The session behind a cookie or bearer token, and the operator.

use hyper::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{Call, Kind, Problem, cookie};
use crate::config;
use crate::gateway::sessions::{Rate, TouchOptions, Touched};
use crate::sessions::SessionToken;

/// A live session, as it stood when this request touched it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The last part of the session's key.
    pub id: String,
    /// Whose it is: a user's id, or an id of the guest's own.
    pub owner: Uuid,
    /// What the session store said.
    pub touched: Touched,
}

impl Call {
    /// The token of the cookie, or of `Authorization: Bearer`.
    pub fn token(&self) -> Option<SessionToken> {
        let bearer = self.bearer();
        bearer
            .or_else(|| cookie::find(&self.head.headers, self.app.config.http.session_cookie()))
            .and_then(SessionToken::parse)
    }

    /// The session of this request; it is touched once, so it lives on and the view is counted.
    pub async fn session(&self) -> Result<Session, Problem> {
        let touched = self
            .session
            .get_or_try_init(|| self.session_viewing(None, None));
        touched.await.cloned()
    }

    /// As [`Call::session`], and records the page and the item that were viewed.
    pub async fn session_viewing(
        &self,
        page: Option<&str>,
        item: Option<&str>,
    ) -> Result<Session, Problem> {
        let Some(token) = self.token() else {
            if self.access_token().is_some() {
                return Err(no_session(
                    "this needs the session itself; an access token is not enough",
                ));
            }
            return Err(no_session(
                "start one with POST /v1/sessions and send its cookie or bearer token",
            ));
        };
        let rate = session_rate(&self.app.config.limits);
        let options = TouchOptions { page, item, rate };
        let touched = self
            .app
            .gateway
            .touch_session(&token.id, token.digest(), options)
            .await;
        let sessions = &self.app.sessions;
        let touched = sessions
            .after_touch(&token.id, token.digest(), touched)
            .await?;
        if let (Some(rate), Some(left)) = (rate, touched.rate) {
            self.quotas.note("session", rate, left);
        }
        match touched.state.as_str() {
            "OK" => {}
            "RATE_LIMITED" => return Err(too_fast(&touched)),
            "IDLE_EXPIRED" | "ABSOLUTE_EXPIRED" => {
                return Err(no_session("the session has ended; start another"));
            }
            _ => return Err(no_session("the session is not known here; start another")),
        }
        let owner = touched.user.parse();
        let owner = owner.map_err(|_| no_session("the session was not started by this API"))?;
        Ok(Session {
            id: token.id,
            owner,
            touched,
        })
    }

    /// True for who shows the operator's token.
    pub fn is_operator(&self) -> bool {
        let Some(expected) = &self.app.config.auth.operator_token else {
            return false;
        };
        let given = self.bearer().unwrap_or_default();
        // Equal time for every wrong token, so that it cannot be guessed byte by byte.
        given.as_bytes().ct_eq(expected.expose().as_bytes()).into()
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        bearer_of(&self.head.headers)
    }
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn no_session(detail: &str) -> Problem {
    Problem::new(Kind::NoSession, detail)
}

fn session_rate(limits: &config::Limits) -> Option<Rate> {
    (limits.session_requests > 0).then_some(Rate {
        burst: limits.session_burst,
        count: limits.session_requests,
        period_s: limits.session_period_s,
    })
}

fn too_fast(touched: &Touched) -> Problem {
    let wait_s = touched.rate.map_or(1, |rate| rate.retry_after_s);
    let seconds = u64::try_from(wait_s).unwrap_or(1);
    Problem::too_many_requests("this session asks too often", seconds)
}
