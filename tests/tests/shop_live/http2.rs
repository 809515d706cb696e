//! Streams of one connection: HTTP/2 without TLS, as a balancer speaks it.

use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const STREAMS: usize = 50;

/// Reads until `text` has come.
async fn until(body: &mut Incoming, text: &str) -> Result<()> {
    let (began, mut heard) = (Instant::now(), String::new());
    while !heard.contains(text) {
        ensure!(began.elapsed() < PATIENCE, "'{text}' is not in '{heard}'");
        let frame = timeout(PATIENCE, body.frame()).await?;
        let frame = frame.context("the stream has ended")??;
        if let Ok(data) = frame.into_data() {
            heard += std::str::from_utf8(&data)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn many_streams_share_a_connection_with_other_requests() -> Result<()> {
    let stack = STACK.read().await;
    let address = stack.proxy.url().replace("http://", "");
    let stream = TcpStream::connect(&address).await?;
    let (sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let get = async |path: &str| {
        let request = Request::get(format!("http://{address}{path}")).body(Empty::new())?;
        anyhow::Ok(sender.clone().send_request(request).await?)
    };
    let asked = (0..STREAMS).map(|_| get("/v1/stock/H2/stream"));
    let answers = try_join_all(asked).await?;
    let mut bodies: Vec<Incoming> = answers
        .into_iter()
        .map(|answer| answer.into_body())
        .collect();
    try_join_all(bodies.iter_mut().map(|body| until(body, "\"on_hand\":10,"))).await?;
    until_subscribed(&stack, "H2", 1).await?;
    shop(&stack).set_stock("H2", 81).await?;
    try_join_all(bodies.iter_mut().map(|body| until(body, "\"on_hand\":81,"))).await?;

    let other = get("/v1/stock/H2").await?;
    assert_eq!(other.status(), 200);
    let shown = other.into_body().collect().await?.to_bytes();
    assert_eq!(on_hand(&serde_json::from_slice(&shown)?), Some(81));

    // A stream that its client resets is noticed, while the connection goes on.
    bodies.truncate(1);
    wait::until_async("the others to be gone", PATIENCE, || async {
        let skus = stack.proxy.metric("holdfast_stream_watchers").await?;
        Ok((skus < STREAMS as f64).then_some(()))
    })
    .await?;
    until(&mut bodies[0], ":\n\n").await?;
    drop(bodies);
    until_subscribed(&stack, "H2", 0).await?;
    assert!(!connection.is_finished());
    Ok(())
}
