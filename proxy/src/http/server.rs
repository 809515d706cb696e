//! The listener: accepts, sheds what cannot be served in time, and drains at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Body, Kind, Problem, router::Router};
use crate::app::App;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the API on `listener` until `stop` is cancelled, then lets open requests finish
/// within `http.drain_timeout_ms`.
pub async fn serve(listener: TcpListener, app: Arc<App>, router: Router, stop: CancellationToken) {
    let most_at_once = app.config.http.max_concurrent_requests;
    let service = Arc::new(Service {
        permits: Arc::new(Semaphore::new(most_at_once)),
        drain_timeout: Duration::from_millis(app.config.http.drain_timeout_ms),
        router,
        app,
    });
    let answering = service.clone();
    accept(
        listener,
        stop,
        service.drain_timeout,
        move |peer, request| answering.clone().answer(peer, request),
    )
    .await;
    // Requests whose clients have gone have no open connection, and are finished as well.
    let every_permit = service.permits.acquire_many(most_at_once as u32);
    if tokio::time::timeout(service.drain_timeout, every_permit)
        .await
        .is_err()
    {
        tracing::warn!("some requests without a client were cut off");
    }
}

/// Accepts connections until `stop`, answers each request with `answer`, which is told who is at
/// the other end, then drains.
pub async fn accept<F, A>(
    listener: TcpListener,
    stop: CancellationToken,
    drain_timeout: Duration,
    answer: F,
) where
    F: Fn(SocketAddr, Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = GracefulShutdown::new();
    let mut http = auto::Builder::new(TokioExecutor::new());
    // A client that sends its headers byte by byte may not keep a connection for ever.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most often too many open files: others must end before one can begin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        // An answer is one small write; waiting to fill a packet would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection broke before it began");
        }
        let answer = answer.clone();
        let has_asked = Arc::new(Notify::new());
        let asked = has_asked.clone();
        let service = service_fn(move |request| {
            asked.notify_one();
            let answering = answer(peer, request);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let connection = http
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                // Before it knows the version of HTTP, hyper waits without a deadline.
                is_silent = is_silent(&has_asked) => match is_silent {
                    true => return,
                    false => connection.await,
                },
            };
            // A client that goes away mid-request is everyday; its request runs on regardless.
            if let Err(error) = ended {
                tracing::debug!(error, "a connection broke");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain_timeout, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still open at the end of the drain");
    }
}

/// Whether nothing is asked within the time for the first request's headers.
async fn is_silent(has_asked: &Notify) -> bool {
    let asked = tokio::time::timeout(HEADER_TIMEOUT, has_asked.notified());
    asked.await.is_err()
}

struct Service {
    app: Arc<App>,
    router: Router,
    permits: Arc<Semaphore>,
    drain_timeout: Duration,
}

impl Service {
    /// Begins to answer at once, in a task of its own: when its client goes away, hyper drops the
    /// future that is returned, at whatever step it is, or before its first.
    fn answer(
        self: Arc<Self>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + use<> {
        let permit = self.permits.clone().try_acquire_owned();
        let answering = tokio::spawn(async move {
            let Ok(_permit) = permit else {
                let detail = "the server is full; try again in a moment";
                return Problem::new(Kind::Overloaded, detail).into_response();
            };
            self.answer_in_time(peer, request).await
        });
        async move {
            answering
                .await
                .unwrap_or_else(|error| Problem::internal(error).into_response())
        }
    }

    async fn answer_in_time(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let deadline = self.app.config.http.request_timeout();
        let answered = tokio::time::timeout(
            deadline,
            self.router.answer(self.app.clone(), peer, request),
        );
        answered.await.unwrap_or_else(|_| {
            let detail = "the request was not finished within its deadline; what it began goes on, and is undone or completed by itself";
            Problem::new(Kind::DeadlineExceeded, detail).into_response()
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// Whether the server hangs up on a client that says this and then nothing.
    async fn is_hung_up_on(said: &[u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let answer = |_, _| async { Problem::new(Kind::NotFound, "nothing").into_response() };
        let serving = tokio::spawn(accept(listener, stop.clone(), Duration::ZERO, answer));
        let mut client = TcpStream::connect(address).await.expect("a connection");
        client.write_all(said).await.expect("sent");
        let mut heard = Vec::new();
        let end = tokio::time::timeout(HEADER_TIMEOUT * 3, client.read_to_end(&mut heard)).await;
        stop.cancel();
        serving.await.expect("it ends");
        end.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_asks_nothing_is_hung_up_on() {
        // The last two could still become the preface of HTTP/2.
        for said in ["GET / HTTP/1.1\r\nhost:", "", "PRI * HTTP"] {
            assert!(is_hung_up_on(said.as_bytes()).await, "{said:?}");
        }
    }
}
