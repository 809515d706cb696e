//! What the API answers when it does not do what was asked: RFC 9457 problem details.
//!
//! Each kind has a stable `type`, a page in docs/problems, and says whether the same request
//! may safely be sent again.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::Body;

/// The kinds of problem, one page each in docs/problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not what the route takes.
    InvalidBody,
    /// A value in the path, the query or the body is out of range.
    InvalidValue,
    /// The body is longer than `http.max_body_bytes`.
    BodyTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body did not arrive within `http.body_timeout_ms`.
    Timeout,
    /// The request was not finished within `http.request_timeout_ms`.
    DeadlineExceeded,
    /// There is no such route or resource.
    NotFound,
    /// The route exists and takes other methods.
    MethodNotAllowed,
    /// There is no session, or it has ended.
    NoSession,
    /// The e-mail address or the password is wrong.
    BadCredentials,
    /// The session may not do this.
    Forbidden,
    /// A webhook is not signed by whom it says it is from, or not lately.
    BadSignature,
    /// Somebody registered that e-mail address already.
    EmailTaken,
    /// Fewer units are available than were asked for.
    OutOfStock,
    /// The hold has ended, or was never taken.
    HoldEnded,
    /// The order can no longer be cancelled.
    CannotCancel,
    /// The order was cancelled by its shopper.
    OrderCancelled,
    /// The change would leave less stock than is held.
    BelowHeld,
    /// The cart has nothing in it.
    EmptyCart,
    /// The payment provider declined.
    PaymentDeclined,
    /// The same Idempotency-Key is being worked on right now.
    RequestInFlight,
    /// The same key or id was used for something else before.
    Mismatch,
    /// The server has more requests than it can serve in time.
    Overloaded,
    /// A server behind this one does not answer.
    Unavailable,
    /// Holdfast is at fault.
    Internal,
}

impl Kind {
    /// Every kind, for the documentation check.
    pub const ALL: [Kind; 25] = [
        Kind::InvalidBody,
        Kind::InvalidValue,
        Kind::BodyTooLarge,
        Kind::UnsupportedMediaType,
        Kind::Timeout,
        Kind::DeadlineExceeded,
        Kind::NotFound,
        Kind::MethodNotAllowed,
        Kind::NoSession,
        Kind::BadCredentials,
        Kind::Forbidden,
        Kind::BadSignature,
        Kind::EmailTaken,
        Kind::OutOfStock,
        Kind::HoldEnded,
        Kind::CannotCancel,
        Kind::OrderCancelled,
        Kind::BelowHeld,
        Kind::EmptyCart,
        Kind::PaymentDeclined,
        Kind::RequestInFlight,
        Kind::Mismatch,
        Kind::Overloaded,
        Kind::Unavailable,
        Kind::Internal,
    ];

    /// The last part of the problem's `type`, and the name of its page.
    pub fn slug(self) -> &'static str {
        self.facts().0
    }

    /// Slug, status, title, and whether the same request may be sent again as it is.
    fn facts(self) -> (&'static str, StatusCode, &'static str, bool) {
        use StatusCode as S;
        match self {
            Kind::InvalidBody => (
                "invalid-body",
                S::BAD_REQUEST,
                "The body cannot be read",
                false,
            ),
            Kind::InvalidValue => (
                "invalid-value",
                S::BAD_REQUEST,
                "A value is out of range",
                false,
            ),
            Kind::BodyTooLarge => (
                "body-too-large",
                S::PAYLOAD_TOO_LARGE,
                "The body is too long",
                false,
            ),
            Kind::UnsupportedMediaType => (
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON",
                false,
            ),
            Kind::Timeout => (
                "timeout",
                S::REQUEST_TIMEOUT,
                "The body did not arrive in time",
                true,
            ),
            Kind::DeadlineExceeded => (
                "deadline-exceeded",
                S::GATEWAY_TIMEOUT,
                "The request took too long",
                false,
            ),
            Kind::NotFound => (
                "not-found",
                S::NOT_FOUND,
                "There is no such thing here",
                false,
            ),
            Kind::MethodNotAllowed => (
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "The route takes other methods",
                false,
            ),
            Kind::NoSession => ("no-session", S::UNAUTHORIZED, "A session is needed", false),
            Kind::BadCredentials => (
                "bad-credentials",
                S::UNAUTHORIZED,
                "Wrong e-mail address or password",
                false,
            ),
            Kind::Forbidden => (
                "forbidden",
                S::FORBIDDEN,
                "The session may not do this",
                false,
            ),
            Kind::BadSignature => (
                "bad-signature",
                S::UNAUTHORIZED,
                "The webhook is not signed as it should be",
                false,
            ),
            Kind::EmailTaken => (
                "email-taken",
                S::CONFLICT,
                "The address is registered already",
                false,
            ),
            Kind::OutOfStock => (
                "out-of-stock",
                S::CONFLICT,
                "Not enough units are available",
                true,
            ),
            Kind::HoldEnded => ("hold-ended", S::CONFLICT, "The hold has ended", false),
            Kind::CannotCancel => (
                "cannot-cancel",
                S::CONFLICT,
                "The order can no longer be cancelled",
                false,
            ),
            Kind::OrderCancelled => (
                "order-cancelled",
                S::CONFLICT,
                "The order was cancelled",
                false,
            ),
            Kind::BelowHeld => (
                "below-held",
                S::CONFLICT,
                "More units are held than would remain",
                true,
            ),
            Kind::EmptyCart => ("empty-cart", S::CONFLICT, "The cart is empty", false),
            Kind::PaymentDeclined => (
                "payment-declined",
                S::PAYMENT_REQUIRED,
                "The payment was declined",
                false,
            ),
            Kind::RequestInFlight => (
                "request-in-flight",
                S::CONFLICT,
                "The same request is being worked on",
                true,
            ),
            Kind::Mismatch => (
                "mismatch",
                S::UNPROCESSABLE_ENTITY,
                "The id was used for something else",
                false,
            ),
            Kind::Overloaded => (
                "overloaded",
                S::SERVICE_UNAVAILABLE,
                "The server is full",
                true,
            ),
            Kind::Unavailable => (
                "unavailable",
                S::SERVICE_UNAVAILABLE,
                "A server behind this one is away",
                true,
            ),
            Kind::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Holdfast is at fault",
                false,
            ),
        }
    }
}

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
        let headers = match kind {
            Kind::Overloaded | Kind::Unavailable | Kind::RequestInFlight => {
                vec![(RETRY_AFTER, HeaderValue::from_static("1"))]
            }
            _ => Vec::new(),
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
        Self::new(
            Kind::Unavailable,
            format!("{what} does not answer; try again in a moment"),
        )
        .because(error)
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

    /// Adds a header, such as `Allow`.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
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
        members.insert("type".into(), json!(format!("/problems/{slug}")));
        members.insert("title".into(), json!(title));
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("detail".into(), json!(self.detail));
        members.insert("retry_safe".into(), json!(retry_safe));
        members.extend(self.members);
        let mut response =
            Response::new(Body::new(Bytes::from(Value::Object(members).to_string())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.extend(self.headers);
        response
    }
}

impl From<crate::gateway::Error> for Problem {
    fn from(error: crate::gateway::Error) -> Self {
        Self::unavailable("the stock and session store", error)
    }
}

impl From<crate::store::Error> for Problem {
    fn from(error: crate::store::Error) -> Self {
        Self::unavailable("the database", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_page_that_says_the_same() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/problems");
        for kind in Kind::ALL {
            let (slug, status, title, retry_safe) = kind.facts();
            let page = std::fs::read_to_string(pages.join(format!("{slug}.md"))).expect(slug);
            let facts = format!(
                "`type`: `/problems/{slug}` · status {} · `retry_safe`: {retry_safe}",
                status.as_u16()
            );
            assert!(
                page.starts_with(&format!("# {title}\n\n{facts}\n")),
                "{slug}.md begins otherwise"
            );
        }
        let count = std::fs::read_dir(pages).expect("the pages").count();
        assert_eq!(count, Kind::ALL.len(), "a page without a kind");
    }

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
