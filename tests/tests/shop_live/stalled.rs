//! Who asks for a stream and then takes nothing of it.

use std::io::Write;
use std::net::SocketAddr;

use holdfast_tests::proxy::Proxy;
use socket2::{Domain, Socket, Type};

use super::*;

/// A watcher with hardly any room for what it is sent, who never reads.
fn stalled(proxy: &Proxy) -> Result<Socket> {
    let address: SocketAddr = proxy.url().replace("http://", "").parse()?;
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(1)?;
    socket.connect(&address.into())?;
    socket.write_all(b"GET /v1/stock/LAMP/stream HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    Ok(socket)
}

async fn until_watched_by(proxy: &Proxy, wanted: f64) -> Result<()> {
    wait::until_async(format!("{wanted} watchers"), PATIENCE, || async {
        let watchers = proxy.metric("holdfast_stream_watchers").await?;
        Ok((watchers == wanted).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_watcher_who_takes_nothing_is_cut_off() -> Result<()> {
    let stack = STACK.read().await;
    let heartbeat = ("HOLDFAST_STREAM__HEARTBEAT_MS", "1");
    let patient = stack.another_proxy_with(&[heartbeat])?;
    let strict =
        stack.another_proxy_with(&[heartbeat, ("HOLDFAST_HTTP__SEND_TIMEOUT_MS", "1500")])?;
    let watching = [stalled(&patient)?, stalled(&strict)?];
    until_watched_by(&strict, 1.0).await?;
    until_watched_by(&patient, 1.0).await?;
    until_watched_by(&strict, 0.0).await?;
    // The control: where the client has more time, it is there still.
    until_watched_by(&patient, 1.0).await?;
    drop(watching);
    until_watched_by(&patient, 0.0).await
}
