//! One request on its way through a handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, EXPECT};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::auth::Session;
use super::identity::Identity;
use super::quotas::Quotas;
use super::{Kind, Problem, as_schema};
use crate::app::App;
use crate::catalogue::Sku;
use crate::store::committer::IdempotencyKey;

/// How long the rest of a body is taken that was refused.
const LINGER: Duration = Duration::from_secs(1);

/// The parameters of a path, by their names.
pub type Parameters = Vec<(String, String)>;

/// The request, the parameters of its path, and the application that serves it.
pub struct Call {
    /// What every handler works with.
    pub app: Arc<App>,
    /// Method, path and headers.
    pub head: Parts,
    /// Who is at the other end of the connection: the client, or a balancer before it.
    pub peer: SocketAddr,
    /// The Idempotency-Key under which the request is done, if it has one.
    pub idempotency_key: Option<IdempotencyKey>,
    pub(super) quotas: Quotas,
    pub(super) session: OnceCell<Session>,
    pub(super) identity: OnceCell<Identity>,
    params: Parameters,
    body: Incoming,
    read: Option<Bytes>,
}

impl Call {
    /// A request whose path matched with `params`.
    pub fn new(
        app: Arc<App>,
        peer: SocketAddr,
        head: Parts,
        params: Parameters,
        body: Incoming,
    ) -> Self {
        Self {
            app,
            head,
            peer,
            idempotency_key: None,
            quotas: Quotas::default(),
            session: OnceCell::new(),
            identity: OnceCell::new(),
            params,
            body,
            read: None,
        }
    }

    /// The same, with the limits that it was counted in so far.
    #[must_use]
    pub fn counted_in(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// A parameter of the path, as it stands there.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The SKU in the path.
    pub fn sku(&self) -> Result<Sku, Problem> {
        // A path that cannot name a product names none that exists.
        let sku = self.param("sku");
        sku.parse().map_err(|error| {
            Problem::new(Kind::NotFound, format!("'{}': {error}", sku.escape_debug()))
        })
    }

    /// A UUID in the path, such as `order_id`; what is no UUID names nothing.
    pub fn id(&self, name: &str) -> Result<uuid::Uuid, Problem> {
        let id = self.param(name);
        id.parse().map_err(|_| {
            let what = name.trim_end_matches("_id");
            let detail = format!(
                "there is no {what} '{}'; its id is a UUID",
                id.escape_debug()
            );
            Problem::new(Kind::NotFound, detail)
        })
    }

    /// The query string, as the members of `Q`; others are ignored.
    pub fn asked<Q: DeserializeOwned>(&self) -> Result<Q, Problem> {
        let query = self.head.uri.query().unwrap_or_default();
        let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(pairs).map_err(|error| {
            let detail = format!("{}: {}", error.path(), error.inner());
            Problem::new(Kind::InvalidValue, detail)
        })
    }

    /// A header as text; one that is not ASCII counts as absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON. An absent body is `{}`, so that a type whose members are all optional can
    /// be left out.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let body = self.read_body().await?;
        if body.is_empty() {
            let empty: Result<T, _> = serde_json::from_str("{}");
            return empty.map_err(|error| invalid_body(&error));
        }
        if !self.says_json() {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "send the body with 'Content-Type: application/json'",
            ));
        }
        as_schema::read(&body).map_err(|error| invalid_body(&error))
    }

    /// The body as it was sent, which arrives once and may be read again.
    pub async fn read_body(&mut self) -> Result<Bytes, Problem> {
        if let Some(body) = &self.read {
            return Ok(body.clone());
        }
        let body = self.receive_body().await?;
        self.read = Some(body.clone());
        Ok(body)
    }

    async fn receive_body(&mut self) -> Result<Bytes, Problem> {
        let limit = self.app.config.http.max_body_bytes as usize;
        let too_large = || {
            Problem::new(
                Kind::BodyTooLarge,
                format!("the body may have at most {limit} bytes"),
            )
        };
        // Refused by its Content-Length, a body need not be sent at all.
        if self.body.size_hint().lower() > limit as u64 {
            self.pass_over(limit).await;
            return Err(too_large());
        }
        let body_timeout = self.app.config.http.body_timeout();
        let collecting = Limited::new(&mut self.body, limit).collect();
        let Ok(collected) = tokio::time::timeout(body_timeout, collecting).await else {
            return Err(Problem::new(
                Kind::Timeout,
                "the body did not arrive in time; nothing was done",
            ));
        };
        collected.map(|body| body.to_bytes()).map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Problem::new(Kind::InvalidBody, "the body ended before it was complete")
            }
        })
    }

    /// Who is in the middle of sending does not listen yet, and would lose the answer with the
    /// connection: takes what is coming for a moment, at most so many bytes, and throws it away (the
    /// lingering close of RFC 9112, section 9.6).
    async fn pass_over(&mut self, bytes: usize) {
        // Who asks first sends nothing, unless it is told to go on.
        if self.header(EXPECT.as_str()).is_some() {
            return;
        }
        let mut rest = Limited::new(&mut self.body, bytes.saturating_mul(2));
        let passing = async { while let Some(Ok(_)) = rest.frame().await {} };
        let _in_time = tokio::time::timeout(LINGER, passing).await;
    }

    fn says_json(&self) -> bool {
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    }
}

fn invalid_body(error: &serde_json::Error) -> Problem {
    // The decoder speaks Rust to callers of any language.
    let error = error
        .to_string()
        .replace("expected i64", "expected a whole number of 64 bits")
        .replace("expected u64", "expected a whole number from 0 on");
    Problem::new(
        Kind::InvalidBody,
        format!("the body is not what this route takes: {error}"),
    )
}
