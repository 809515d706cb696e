//! The shop as its clients see it: HTTP, with patience. A request that got no answer is sent again
//! until it is known what came of it, which is safe because each carries an id of its own.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, Request, RequestBuilder, StatusCode, Url};
use serde_json::Value;
use tokio::time::sleep;

use crate::config::Secret;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Longer than the shop's own deadline, so that the shop is the one to give up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a shop may take to open before a replay begins.
const OPENING: Duration = Duration::from_secs(10);

/// An answer that says what came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// 2xx, and its body.
    Done(Value),
    /// The shop said no.
    No {
        /// The status.
        status: StatusCode,
        /// What kind of problem: the last part of its type.
        problem: String,
        /// True when an earlier attempt at the same request may have been heard.
        maybe_heard: bool,
    },
}

/// Nobody knows what came of a request; the text says what was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown(pub String);

/// The API of one shop.
pub(super) struct Shop {
    client: Client,
    /// One for each proxy, at least one; they differ in host and port only.
    urls: Vec<Url>,
    /// Counts attempts: each goes to the next proxy.
    turn: AtomicUsize,
    patience: Duration,
    operator_token: Option<Secret>,
    opened: Instant,
    /// When the shop last answered anything, ms after `opened`.
    last_heard_ms: AtomicU64,
}

impl Shop {
    /// The shop whose proxies are at `urls`; a request is repeated for as long as `patience`.
    pub fn new(
        urls: Vec<Url>,
        patience: Duration,
        operator_token: Option<Secret>,
    ) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .context("cannot make an HTTP client")?;
        let (opened, last_heard_ms) = (Instant::now(), AtomicU64::new(0));
        Ok(Self {
            client,
            urls,
            turn: AtomicUsize::new(0),
            patience,
            operator_token,
            opened,
            last_heard_ms,
        })
    }

    /// Where it is.
    pub fn place(&self) -> String {
        let urls: Vec<&str> = self.urls.iter().map(Url::as_str).collect();
        urls.join(", ")
    }

    /// How long a request is repeated.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits a moment for the shop to answer at all.
    pub async fn wait_until_open(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let knock = self.client.get(self.at("/v1/products?limit=1"));
            match self.try_once(&knock).await {
                Ok((status, _)) if !status.is_server_error() => return Ok(()),
                _ if started.elapsed() < OPENING => sleep(FIRST_PAUSE).await,
                Ok((status, _)) => bail!(
                    "the shop at {} is not ready: it answers {status}",
                    self.place(),
                ),
                Err(error) => {
                    let error = root_cause(&error);
                    bail!(
                        "no shop answers at {} ({error}); open it with 'holdfast serve', or say where it is with --url",
                        self.place()
                    )
                }
            }
        }
    }

    /// A GET as `token`'s owner.
    pub fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.client.get(self.at(path)).bearer_auth(token)
    }

    /// A POST with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.at(path)).json(body)
    }

    /// A POST with the operator's token.
    pub fn post_as_operator(&self, path: &str, body: &Value) -> RequestBuilder {
        let token = self
            .operator_token
            .as_ref()
            .map(Secret::expose)
            .unwrap_or_default();
        self.post(path, body).bearer_auth(token)
    }

    /// Sends a request until its outcome is known.
    pub async fn insist(&self, request: RequestBuilder) -> Result<Answer, Unknown> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut maybe_heard = false;
        loop {
            let seen = match self.try_once(&request).await {
                Ok((status, body)) => {
                    self.heard();
                    if status.is_success() {
                        return Ok(Answer::Done(body));
                    }
                    let problem = problem(status, &body);
                    if !is_worth_repeating(status, &problem) {
                        return Ok(Answer::No {
                            status,
                            problem,
                            maybe_heard,
                        });
                    }
                    // A failure on the shop's side says nothing of how far it came.
                    maybe_heard = true;
                    problem
                }
                Err(error) => {
                    maybe_heard |= !error.is_connect();
                    root_cause(&error)
                }
            };
            if started.elapsed() >= self.patience || self.silence() >= self.patience {
                return Err(Unknown(seen));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends a request once, for what does not matter much.
    pub async fn attempt(&self, request: RequestBuilder) -> bool {
        let answered = self.try_once(&request).await;
        matches!(answered, Ok((status, _)) if status.is_success())
    }

    /// Any proxy: each attempt is told anew which one.
    fn at(&self, path: &str) -> String {
        let first = self.urls.first().map_or("", Url::as_str);
        format!("{}{path}", first.trim_end_matches('/'))
    }

    async fn try_once(&self, request: &RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
        // Bodies here are bytes in memory, which can be cloned; a body that cannot would be a fault.
        let Some(request) = request.try_clone() else {
            unreachable!("the body of a request is no stream")
        };
        let mut request = request.build()?;
        self.direct(&mut request);
        let answer = self.client.execute(request).await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Sends the request to the proxy whose turn it is.
    fn direct(&self, request: &mut Request) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let place = turn.checked_rem(self.urls.len());
        let Some(proxy) = place.and_then(|place| self.urls.get(place)) else {
            return;
        };
        let (host, port) = (proxy.host_str(), proxy.port());
        // Both are parts of a URL of the same scheme, which this one takes.
        let _ = request.url_mut().set_host(host);
        let _ = request.url_mut().set_port(port);
    }

    fn heard(&self) {
        let now_ms = self.opened.elapsed().as_millis() as u64;
        self.last_heard_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// How long the shop has said nothing to anybody: a shop that is gone is given up once, not by
    /// every shopper anew.
    fn silence(&self) -> Duration {
        let last_heard = Duration::from_millis(self.last_heard_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(last_heard)
    }
}

/// The last part of the problem's type (RFC 9457), or the status where there is none.
fn problem(status: StatusCode, body: &Value) -> String {
    let slug = body["type"]
        .as_str()
        .and_then(|kind| kind.rsplit('/').next());
    slug.map_or_else(|| format!("status {}", status.as_u16()), str::to_owned)
}

/// A problem's name as words for a report.
pub(super) fn in_words(slug: &str) -> String {
    slug.replace(['-', '_'], " ")
}

/// Whether the same request may get another answer soon. Out of stock may, too, but a shopper who
/// is told so leaves.
fn is_worth_repeating(status: StatusCode, problem: &str) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
        || problem == "request-in-flight"
}

/// The innermost words of an error: the outer ones only repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_may_change_is_repeated() {
        for (status, slug, repeated) in [
            (503, "unavailable", true),
            (500, "internal", true),
            (408, "timeout", true),
            (409, "request-in-flight", true),
            (409, "out-of-stock", false),
            (402, "payment-declined", false),
            (404, "not-found", false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(
                is_worth_repeating(status, slug),
                repeated,
                "{status} {slug}"
            );
        }
    }

    #[test]
    fn a_problem_is_named_by_its_type_or_else_its_status() {
        let body = json!({"type": "/problems/out-of-stock"});
        assert_eq!(problem(StatusCode::CONFLICT, &body), "out-of-stock");
        assert_eq!(problem(StatusCode::BAD_GATEWAY, &Value::Null), "status 502");
    }
}
