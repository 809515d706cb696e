//! A proxy that is told to stop, without a balancer: it serves on, tells its clients to leave, and ends.

use anyhow::Context;
use bytes::Bytes;
use holdfast_tests::{probe, wait};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Longer than this test: who ends before it was hastened.
const NOTICE_MS: &str = "600000";

fn a_guest(address: &str) -> Result<Request<Full<Bytes>>> {
    let request = Request::post(format!("http://{address}/v1/sessions"))
        .header("Host", address)
        .header("Content-Type", "application/json");
    Ok(request.body(Full::from("{}"))?)
}

#[tokio::test]
async fn clients_are_served_on_told_to_leave_and_let_go() -> Result<()> {
    let pair = PAIR.read().await;
    let notice = [("HOLDFAST_HTTP__DRAIN_NOTICE_MS", NOTICE_MS)];
    let proxy = pair.stack.another_proxy_with(&notice)?;
    let address = proxy.url().replace("http://", "");

    let connect = async || anyhow::Ok(TokioIo::new(TcpStream::connect(&address).await?));
    let (mut kept, connection) = http1::handshake(connect().await?).await?;
    let kept_to_its_end = tokio::spawn(connection);
    let (mut shared, connection) = http2::handshake(TokioExecutor::new(), connect().await?).await?;
    let shared_to_its_end = tokio::spawn(connection);
    assert_eq!(kept.send_request(a_guest(&address)?).await?.status(), 201);
    assert_eq!(shared.send_request(a_guest(&address)?).await?.status(), 201);
    let watch = Request::get(format!("http://{address}/v1/stock/SEEN/stream"));
    let stream = shared.send_request(watch.body(Full::default())?).await?;
    assert_eq!(stream.status(), 200);

    proxy.server().signal(Signal::SIGTERM)?;
    wait::until("the drain", PATIENCE, || {
        let status = probe::http_status(proxy.admin_port(), "/readyz");
        Ok((status == Some(503)).then_some(()))
    })?;
    // HTTP/2 is told to open no more, and what is open goes on.
    wait::until_async("GOAWAY", PATIENCE, || async {
        let asked = shared.clone().send_request(a_guest(&address)?).await;
        Ok(asked.is_err().then_some(()))
    })
    .await?;
    // The kept connection has one more answer, and ends with it.
    let answer = kept.send_request(a_guest(&address)?).await?;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["connection"], "close");
    answer.into_body().collect().await?;
    timeout(PATIENCE, kept_to_its_end).await???;
    // New ones are let in, and have one answer each.
    let (mut new, connection) = http1::handshake(connect().await?).await?;
    let new_to_its_end = tokio::spawn(connection);
    let answer = new.send_request(a_guest(&address)?).await?;
    assert_eq!(answer.headers()["connection"], "close");
    answer.into_body().collect().await?;
    timeout(PATIENCE, new_to_its_end).await???;

    proxy.server().signal(Signal::SIGTERM)?;
    // The stream ends as streams do, and was open until now.
    timeout(PATIENCE, stream.into_body().collect())
        .await
        .context("the stream goes on")??;
    timeout(PATIENCE, shared_to_its_end).await???;
    proxy.server().wait_for_end(PATIENCE)
}
