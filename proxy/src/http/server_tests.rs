use std::io::{Read, Write};

use http_body_util::BodyExt;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
const LAST_REQUEST: &[u8] =
    b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// So many are served before a server leaves: by then its clients are in full swing.
const ANSWERS_BEFORE: usize = 30;

struct Serving {
    address: SocketAddr,
    leave: Leave,
    until_its_end: JoinHandle<()>,
}

/// Serves 204 to everybody.
async fn serving(drain_timeout: Duration) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let leave = Leave::default();
    let answer = |_, _| async {
        let mut answer = Response::new(http_body_util::Empty::new().boxed_unsync());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    };
    let until_its_end = tokio::spawn(accept(listener, leave.clone(), drain_timeout, answer));
    Serving {
        address,
        leave,
        until_its_end,
    }
}

/// Whether the server hangs up on a client that says this and then nothing.
async fn is_hung_up_on(said: &[u8]) -> bool {
    let serving = serving(Duration::ZERO).await;
    let mut client = TcpStream::connect(serving.address)
        .await
        .expect("connected");
    client.write_all(said).await.expect("sent");
    let mut heard = Vec::new();
    let end = tokio::time::timeout(HEADER_TIMEOUT * 3, client.read_to_end(&mut heard)).await;
    serving.leave.stopping.cancel();
    serving.until_its_end.await.expect("it ends");
    end.is_ok()
}

/// Asks on this connection; gives the answer's head.
async fn ask(client: &mut TcpStream) -> String {
    client.write_all(REQUEST).await.expect("sent");
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let length = client.read(&mut byte).await.expect("an answer");
        assert!(length > 0, "hung up after {heard:?}");
        heard.extend(byte);
    }
    String::from_utf8(heard).expect("text")
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_asks_nothing_is_hung_up_on() {
    // The last two could still become the preface of HTTP/2.
    for said in ["GET / HTTP/1.1\r\nhost:", "", "PRI * HTTP"] {
        assert!(is_hung_up_on(said.as_bytes()).await, "{said:?}");
    }
}

#[tokio::test]
async fn while_the_notice_runs_all_are_served_and_told_to_close() {
    let serving = serving(HEADER_TIMEOUT).await;
    let mut kept = TcpStream::connect(serving.address)
        .await
        .expect("connected");
    for _ in 0..2 {
        assert!(!ask(&mut kept).await.contains("connection: close"));
    }
    serving.leave.draining.cancel();
    let mut new = TcpStream::connect(serving.address)
        .await
        .expect("connected");
    for client in [&mut kept, &mut new] {
        assert!(ask(client).await.contains("connection: close"));
        assert_eq!(client.read(&mut [0]).await.expect("its end"), 0);
    }

    let _silent = TcpStream::connect(serving.address)
        .await
        .expect("connected");
    serving.leave.stopping.cancel();
    // Well before the drain would cut it off.
    tokio::time::timeout(HEADER_TIMEOUT / 2, serving.until_its_end)
        .await
        .expect("a silent connection keeps nobody up")
        .expect("it ends");
    assert!(TcpStream::connect(serving.address).await.is_err());
}

/// Many who connect and ask without a pause, while the server leaves: whoever is connected is
/// answered. What they ask is of a kind that nobody may repeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_got_in_is_answered() {
    for _ in 0..3 {
        let serving = serving(HEADER_TIMEOUT).await;
        let address = serving.address;
        let (has_asked, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let has_asked = has_asked.clone();
                std::thread::spawn(move || knock(address, &has_asked))
            })
            .collect();
        for _ in 0..ANSWERS_BEFORE {
            let answered = tokio::time::timeout(HEADER_TIMEOUT, asked.recv()).await;
            assert_eq!(answered.expect("answered in time"), Some(()));
        }
        serving.leave.draining.cancel();
        serving.leave.stopping.cancel();
        serving.until_its_end.await.expect("it ends");
        for client in clients {
            client
                .join()
                .expect("the client ends")
                .expect("all are answered");
        }
    }
}

/// Asks on one connection after the other until nobody is there, and tells of each answer.
fn knock(address: SocketAddr, has_asked: &UnboundedSender<()>) -> std::io::Result<()> {
    while let Ok(mut client) = std::net::TcpStream::connect(address) {
        client.write_all(LAST_REQUEST)?;
        let mut heard = String::new();
        client.set_read_timeout(Some(HEADER_TIMEOUT))?;
        client
            .read_to_string(&mut heard)
            .or_else(|error| match heard.is_empty() {
                true => Err(error),
                false => Ok(0),
            })?;
        if !heard.starts_with("HTTP/1.1 204") {
            return Err(std::io::Error::other("hung up without an answer"));
        }
        // Nobody counts any more once the server leaves.
        let _counted = has_asked.send(());
    }
    Ok(())
}
