//! The listener: accepts, sheds what cannot be served in time, and drains at the end.
//!
//! A drain has two steps. While the notice runs everything is served as before, so that the
//! balancers have the time to see that this proxy goes; only connections are not kept
//! (`connection.rs`). Then the listener closes, and what is open is finished.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::connection::{HEADER_TIMEOUT, Leave, converse};
use super::{Body, Kind, Problem, router::Router};
use crate::app::App;

/// Connections that may wait to be accepted; a rush arrives all at once.
pub const MOST_WAITING: u32 = 4096;

/// How long a connection may take to be made: the way there and back.
const IN_THE_DOOR: Duration = Duration::from_millis(100);
/// Instructions of the filter, as linux/bpf_common.h numbers them: BPF_LD | BPF_B | BPF_ABS,
/// BPF_JMP | BPF_JSET | BPF_K, BPF_RET | BPF_K.
const BPF_LD_BYTE: u16 = 0x30;
const BPF_JUMP_IF_SET: u16 = 0x45;
const BPF_RETURN: u16 = 0x06;

/// Serves the API on `listener` until the app is `stopping`, then lets open requests finish
/// within `http.drain_timeout_ms`.
pub async fn serve(listener: TcpListener, app: Arc<App>, router: Router) {
    let most_at_once = app.config.http.max_concurrent_requests;
    let leave = Leave {
        draining: app.draining.clone(),
        stopping: app.stopping.clone(),
    };
    let service = Arc::new(Service {
        permits: Arc::new(Semaphore::new(most_at_once)),
        drain_timeout: Duration::from_millis(app.config.http.drain_timeout_ms),
        router,
        app,
    });
    let answering = service.clone();
    accept(
        listener,
        leave,
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

/// Accepts connections until `leave` says otherwise, answers each request with `answer`, which is
/// told who is at the other end, then drains.
pub async fn accept<F, A>(listener: TcpListener, leave: Leave, drain_timeout: Duration, answer: F)
where
    F: Fn(SocketAddr, Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let connections = TaskTracker::new();
    let mut http = auto::Builder::new(TokioExecutor::new());
    // A client that sends its headers byte by byte may not keep a connection for ever.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let welcome = |stream, peer| {
        let (answer, leave) = (answer.clone(), leave.clone());
        let answer = move |request| answer(peer, request);
        connections.spawn(converse(http.clone(), stream, leave, answer));
    };
    tokio::select! {
        () = welcome_all(&listener, &welcome) => {}
        () = leave.stopping.cancelled() => {}
    }
    match shut(&listener) {
        Ok(()) => {
            let last = welcome_last(&listener, &welcome);
            _ = tokio::time::timeout(drain_timeout, last).await;
        }
        Err(error) => tracing::warn!(%error, "who waits to be accepted is turned away"),
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still open at the end of the drain");
    }
}

async fn welcome_all(listener: &TcpListener, welcome: &impl Fn(TcpStream, SocketAddr)) {
    loop {
        welcome_next(listener, welcome).await;
    }
}

/// Whoever is in the door comes in, however long that takes on a machine that has much to do.
async fn welcome_last(listener: &TcpListener, welcome: &impl Fn(TcpStream, SocketAddr)) {
    let next = || tokio::time::timeout(IN_THE_DOOR, welcome_next(listener, welcome));
    while next().await.is_ok() {}
}

async fn welcome_next(listener: &TcpListener, welcome: &impl Fn(TcpStream, SocketAddr)) {
    match listener.accept().await {
        Ok((stream, peer)) => welcome(stream, peer),
        Err(error) => {
            // Most often too many open files: others must end before one can begin.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Lets no further connection begin. To close a listener resets whoever the kernel has let in and
/// nobody has accepted yet, who may have sent a request by then; so the kernel is first told, by a
/// filter in classic BPF, to drop the packets that begin a connection.
fn shut(listener: &TcpListener) -> std::io::Result<()> {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const DROP: u32 = 0;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(BPF_LD_BYTE, 0, 0, FLAGS),
        SockFilter::new(BPF_JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(BPF_RETURN, 0, 0, DROP),
        SockFilter::new(BPF_RETURN, 0, 0, u32::MAX),
    ])
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
#[path = "server_tests.rs"]
mod tests;
