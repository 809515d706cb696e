//! What the API answers when it does not do what was asked: RFC 9457 problem details.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Body, Kind, in_memory};

/// One refusal: what the caller is told, and what only the log is told.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    internal: Option<String>,
}

impl Problem {
    /// A problem with a sentence for the caller.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let headers = if kind.may_pass() {
            vec![(RETRY_AFTER, HeaderValue::from_static("1"))]
        } else {
            Vec::new()
        };
        Self {
            kind,
            detail: detail.into(),
            members: Map::new(),
            headers,
            internal: None,
        }
    }

    /// A server behind this one does not answer; `error` goes to the log alone.
    pub fn unavailable(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(Kind::Unavailable, does_not_answer(what)).because(error)
    }

    /// Somebody asks more often than one may; a retry helps after `seconds`.
    pub fn too_many_requests(what: &str, seconds: u64) -> Self {
        let seconds = seconds.max(1);
        let detail = format!("{what}; try again in {seconds} s");
        Self::new(Kind::TooManyRequests, detail).header(RETRY_AFTER, seconds.into())
    }

    /// A fault of Holdfast itself; `error` goes to the log alone.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::new(
            Kind::Internal,
            "the request failed on our side; nothing more is known",
        )
        .because(error)
    }

    /// Adds what the log should know and the caller should not.
    pub fn because(mut self, error: impl std::fmt::Display) -> Self {
        self.internal = Some(error.to_string());
        self
    }

    /// Adds a member of the problem's own, such as the lines that are short.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Adds a header, such as `Allow`, in place of another of its name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The answer. This is the boundary where a failure is handled, so it is logged here, once.
    pub fn into_response(self) -> Response<Body> {
        let (slug, status, title, retry_safe) = self.kind.facts();
        if let Some(error) = &self.internal {
            tracing::error!(problem = slug, error, "request failed");
        }
        let mut members = Map::new();
        members.insert("type".into(), json!(self.kind.type_uri()));
        members.insert("title".into(), json!(title));
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("detail".into(), json!(self.detail));
        members.insert("retry_safe".into(), json!(retry_safe));
        members.extend(self.members);
        let mut response = Response::new(in_memory(Value::Object(members).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"holdfast\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        headers.extend(self.headers);
        response
    }
}

fn does_not_answer(what: &str) -> String {
    format!("{what} does not answer; try again in a moment")
}

impl From<crate::gateway::Error> for Problem {
    fn from(error: crate::gateway::Error) -> Self {
        let what = "the stock and session store";
        match error {
            // Told to the log once, when it was given up, and not with every request.
            crate::gateway::Error::Away => Self::new(Kind::Unavailable, does_not_answer(what)),
            error => Self::unavailable(what, error),
        }
    }
}

impl From<crate::sessions::Error> for Problem {
    fn from(error: crate::sessions::Error) -> Self {
        match error {
            crate::sessions::Error::Gateway(error) => error.into(),
            crate::sessions::Error::Store(error) => error.into(),
        }
    }
}

impl From<crate::store::Error> for Problem {
    fn from(error: crate::store::Error) -> Self {
        Self::unavailable("the database", error)
    }
}

impl From<std::sync::Arc<crate::store::Error>> for Problem {
    fn from(error: std::sync::Arc<crate::store::Error>) -> Self {
        Self::unavailable("the database", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_learns_what_the_caller_does_not() {
        use http_body_util::BodyExt;

        let problem = Problem::unavailable("the database", "mysql: host db-7 refused");
        let response = problem.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let body = futures::executor::block_on(response.into_body().collect());
        let body = body.expect("a body in memory").to_bytes();
        let document: Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(document["type"], "/problems/unavailable");
        assert_eq!(document["retry_safe"], true);
        assert!(!document.to_string().contains("db-7"));
    }
}
