//! `/v1/stock/{sku}/stream`: the stock as it changes, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::{Answer, Call, Kind, Problem};
use crate::live::{Refusal, Told, Watcher};

/// The media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// A comment: it says nothing, and shows on both ends whether the other is still there.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");
/// A browser connects again after so long, ms; not every one after the same time, since all streams
/// of a proxy end together when it stops.
const RETRY_MS: std::ops::Range<u64> = 1_000..4_000;

/// `GET /v1/stock/{sku}/stream`
pub async fn watch(call: Call) -> Answer {
    let sku = call.sku()?;
    let watcher = call.app.live.watch(&sku).await?;
    let config = &call.app.config.stream;
    let feed = Feed {
        told: Told::until(call.header("last-event-id")),
        watcher,
        has_begun: false,
        heartbeat: Duration::from_millis(config.heartbeat_ms),
        ends: Box::pin(tokio::time::sleep(Duration::from_millis(
            config.lifetime_ms,
        ))),
        stopping: call.app.stopping.clone(),
    };
    let frames = stream::unfold(feed, |mut feed| async move {
        let text = feed.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(text)), feed))
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather what is to be told at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(answer)
}

/// What one watcher gets, piece by piece. A piece is made when the connection has room for it, so
/// that a slow watcher gets the newest in place of everything.
struct Feed {
    watcher: Watcher,
    told: Told,
    has_begun: bool,
    heartbeat: Duration,
    ends: Pin<Box<Sleep>>,
    stopping: CancellationToken,
}

impl Feed {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            let retry_ms = fastrand::u64(RETRY_MS);
            return Some(format!("retry: {retry_ms}\n\n").into());
        }
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                () = &mut self.ends => return None,
                changed = self.watcher.newest.changed() => {
                    // It fails when nobody tells any more.
                    changed.ok()?;
                    let newest = self.watcher.newest.borrow_and_update().clone();
                    if let Some(text) = self.told.tell(&newest) {
                        return Some(text);
                    }
                }
                () = tokio::time::sleep(self.heartbeat) => return Some(HEARTBEAT),
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Problem::new(Kind::Overloaded, refusal.to_string()),
            Refusal::NotShown(error) => error.into(),
            Refusal::Unwritable(error) => Problem::internal(error),
        }
    }
}
