//! One connection: its requests are answered, and it is ended in a way that loses none.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Body;

/// How long a client may take to send the headers of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was made before the listener closed may still ask within this time: its request
/// is most likely on the way.
const LAST_WORD: Duration = Duration::from_millis(500);

/// When a server takes its leave.
#[derive(Clone, Default)]
pub struct Leave {
    /// It goes soon: connections are no longer kept.
    pub draining: CancellationToken,
    /// It goes: nobody new comes in.
    pub stopping: CancellationToken,
}

/// Answers the requests of one connection until either side ends it.
pub async fn converse<F, A>(
    http: auto::Builder<TokioExecutor>,
    stream: TcpStream,
    leave: Leave,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    // An answer is one small write; waiting to fill a packet would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection broke before it began");
    }
    let has_asked = CancellationToken::new();
    let speaks_http2 = CancellationToken::new();
    let (asks, asks_by_http2) = (has_asked.clone(), speaks_http2.clone());
    let draining = leave.draining.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        asks.cancel();
        let is_http1 = request.version() < Version::HTTP_2;
        if !is_http1 {
            asks_by_http2.cancel();
        }
        let answering = answer(request);
        let draining = draining.clone();
        async move {
            let mut response = answering.await;
            if is_http1 && draining.is_cancelled() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut goodbye = pin!(goodbye(&leave, &has_asked, &speaks_http2).fuse());
    let mut silence = pin!(silence(&has_asked).fuse());
    let ended = loop {
        tokio::select! {
            // What has arrived already is taken before goodbye is said.
            biased;
            ended = connection.as_mut() => break ended,
            () = &mut goodbye => connection.as_mut().graceful_shutdown(),
            // Before it knows the version of HTTP, hyper waits without a deadline.
            is_silent = &mut silence => if is_silent { return },
        }
    };
    // A client that goes away mid-request is everyday; its request runs on regardless.
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}

/// Comes when a connection is to be wound down. HTTP/2 is told early, since GOAWAY loses no request;
/// an idle connection of HTTP/1 can only be closed, maybe right in front of a request, so its client
/// gets the whole notice to leave it alone.
async fn goodbye(leave: &Leave, has_asked: &CancellationToken, speaks_http2: &CancellationToken) {
    let of_http2 = async {
        speaks_http2.cancelled().await;
        leave.draining.cancelled().await;
    };
    let of_any = async {
        leave.stopping.cancelled().await;
        // Whoever asks now is told to close by the answer, and needs no goodbye.
        let _ = tokio::time::timeout(LAST_WORD, has_asked.cancelled()).await;
    };
    tokio::select! {
        () = of_http2 => {}
        () = of_any => {}
    }
}

/// Whether nothing is asked within the time for the first request's headers.
async fn silence(has_asked: &CancellationToken) -> bool {
    let asked = tokio::time::timeout(HEADER_TIMEOUT, has_asked.cancelled());
    asked.await.is_err()
}
