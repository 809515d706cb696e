//! One connection to one server, shared by all who call it, that is made when it is needed and
//! replaced when it is lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::access::Access;
use super::error::{Failure, is_refusal};
use super::redirect::Advice;
use super::request::Request;
use crate::config::Address;

/// So many calls without an answer between them, and the connection is given up: a server that is
/// stopped, cut off or has another address now leaves it standing.
const UNANSWERED: u32 = 3;
/// After a connection could not be made it is left for so long, then for twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Who makes it anew waits for one who does already, never longer than the own deadline.
#[derive(Debug)]
pub(super) struct Connection {
    target: Arc<Target>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct Target {
    address: Address,
    access: Arc<Access>,
    /// How long an attempt to connect may take.
    patience: Duration,
    /// Told when the server was lost or not reached.
    trouble: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    opening: Option<Shared<BoxFuture<'static, Opened>>>,
    /// Attempts in a row that failed.
    failures: u32,
    /// Why the last of them did.
    problem: Option<RedisError>,
}

type Opened = Result<Arc<Link>, RedisError>;

/// A connection as long as it lasts.
#[derive(Debug)]
struct Link {
    connection: MultiplexedConnection,
    is_lost: Arc<AtomicBool>,
    /// Calls that were given up since the last answer.
    unanswered: AtomicU32,
    driver: AbortHandle,
}

impl Drop for Link {
    /// Whoever still waits on it hears at once that there will be no answer.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Nothing is sent until the first call.
    pub(super) fn new(
        address: Address,
        access: Arc<Access>,
        patience: Duration,
        trouble: Arc<Notify>,
    ) -> Self {
        let target = Target {
            address,
            access,
            patience,
            trouble,
        };
        Self {
            target: Arc::new(target),
            state: Arc::default(),
        }
    }

    /// Sends a request once, and waits for the answer until `deadline`.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        asking: bool,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let name = request.name();
        self.run(&name, deadline, |mut connection| async move {
            request.send(&mut connection, asking).await
        })
        .await
    }

    /// Does something with the connection, and waits for it until `deadline`. `name` stands for it
    /// in errors.
    pub(super) async fn run<T, Exchange: Future<Output = RedisResult<T>>>(
        &self,
        name: &str,
        deadline: Instant,
        exchange: impl FnOnce(MultiplexedConnection) -> Exchange,
    ) -> Result<T, Failure> {
        let link = match timeout_at(deadline, self.link()).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return Err(self.not_reached(name, &error)),
            Err(_) => {
                let problem = lock(&self.state).problem.clone();
                return Err(self.not_reached(name, &problem.unwrap_or_else(timed_out)));
            }
        };
        match timeout_at(deadline, exchange(link.connection.clone())).await {
            Ok(answered) => {
                if !link.is_lost() {
                    link.unanswered.store(0, Ordering::Relaxed);
                }
                answered.map_err(|error| Failure::of(name, &error))
            }
            Err(_) => {
                if link.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNANSWERED {
                    self.give_up(&link);
                }
                self.target.trouble.notify_one();
                Err(Failure::unknown(name, "no answer in time"))
            }
        }
    }

    async fn link(&self) -> Opened {
        let opening = {
            let mut state = lock(&self.state);
            match &state.link {
                Some(link) if !link.is_lost() => return Ok(link.clone()),
                _ => state.link = None,
            }
            let failures = state.failures;
            let opening = state
                .opening
                .get_or_insert_with(|| self.open_after(pause(failures)));
            opening.clone()
        };
        opening.await
    }

    /// Connects in a task of its own, so that who gives up waiting leaves it to the next one.
    fn open_after(&self, pause: Duration) -> Shared<BoxFuture<'static, Opened>> {
        let (target, state) = (self.target.clone(), self.state.clone());
        let opening = tokio::spawn(async move {
            sleep(pause).await;
            let opened = target.open().await;
            let mut state = lock(&state);
            state.opening = None;
            state.failures = match &opened {
                Ok(_) => 0,
                Err(_) => state.failures.saturating_add(1),
            };
            state.problem = opened.as_ref().err().cloned();
            state.link = opened.as_ref().ok().cloned();
            if opened.is_err() {
                target.trouble.notify_one();
            }
            opened
        });
        let opened = async { opening.await.unwrap_or_else(|_| Err(timed_out())) };
        opened.boxed().shared()
    }

    fn not_reached(&self, name: &str, error: &RedisError) -> Failure {
        let failure = Failure::not_reached(name, format!("{}: {error}", self.target.address));
        match is_refusal(error) {
            // The server is there, and will not let the proxy in a moment later either.
            true => Failure {
                advice: Advice::Final,
                ..failure
            },
            false => failure,
        }
    }

    fn give_up(&self, link: &Arc<Link>) {
        let mut state = lock(&self.state);
        state.link.take_if(|kept| Arc::ptr_eq(kept, link));
        // It is closed now, not when the last of those who wait on it has given up as well.
        link.driver.abort();
    }
}

impl Link {
    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}

impl Target {
    async fn open(&self) -> Opened {
        let connecting = timeout(self.patience, self.access.connect(&self.address));
        let (connection, driver) = connecting.await.unwrap_or_else(|_| Err(timed_out()))?;
        let is_lost = Arc::new(AtomicBool::new(false));
        let (lost, trouble) = (is_lost.clone(), self.trouble.clone());
        let driver = tokio::spawn(async move {
            driver.await;
            lost.store(true, Ordering::Release);
            trouble.notify_one();
        });
        Ok(Arc::new(Link {
            connection,
            is_lost,
            unanswered: AtomicU32::new(0),
            driver: driver.abort_handle(),
        }))
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => SHORTEST_PAUSE
            .saturating_mul(1 << doublings.min(10))
            .min(LONGEST_PAUSE),
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing in here panics while it holds the lock.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use redis::cmd;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::config::Credentials;
    use crate::gateway::error::Error;

    const PATIENCE: Duration = Duration::from_millis(100);

    async fn answer(mut stream: TcpStream, answers: bool) {
        let mut sent = [0; 1024];
        while let Ok(1..) = stream.read(&mut sent).await {
            // What a connection begins with is answered by any server.
            let is_greeting = sent.windows(7).any(|word| word == b"SETINFO");
            let answer: &[u8] = match (is_greeting, answers) {
                (true, _) => b"+OK\r\n+OK\r\n",
                (false, true) => b"+PONG\r\n",
                (false, false) => b"",
            };
            if stream.write_all(answer).await.is_err() {
                return;
            }
            sent.fill(0);
        }
    }

    /// A server that never says anything more on the first connection, and answers on any other.
    async fn half_silent() -> std::io::Result<Address> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            let mut answers = false;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, answers));
                answers = true;
            }
        });
        let host = "127.0.0.1".into();
        Ok(Address { host, port })
    }

    #[tokio::test]
    async fn a_connection_that_stands_and_is_silent_is_given_up() {
        let address = half_silent().await.expect("a server");
        let access = Arc::new(Access::new(&Credentials::default(), 0, None));
        let trouble = Arc::<Notify>::default();
        let connection = Connection::new(address, access, PATIENCE, trouble.clone());
        let ping = cmd("PING");
        for _ in 0..UNANSWERED {
            let deadline = Instant::now() + PATIENCE;
            let failure = connection
                .send(Request::Command(&ping), false, deadline)
                .await;
            let failure = failure.expect_err("silence");
            assert!(
                matches!(failure.error, Error::Unknown { .. }),
                "{failure:?}"
            );
            // Whoever knows where else to look is told.
            trouble.notified().await;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let answer = connection
            .send(Request::Command(&ping), false, deadline)
            .await;
        assert_eq!(
            answer.expect("an answer"),
            Value::SimpleString("PONG".into())
        );
    }

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!((pause(1), pause(2)), (SHORTEST_PAUSE, 2 * SHORTEST_PAUSE));
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
