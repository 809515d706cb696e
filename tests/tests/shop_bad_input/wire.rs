//! Requests and answers as bytes, because a client library would not send what is wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::ports;
use serde_json::Value;

/// Whether an answer has this status and problem, with a detail that says something.
pub fn check(answer: &str, status: u16, problem: &str) -> Result<()> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("no answer: {answer:?}"))?;
    ensure!(
        head.starts_with(&format!("HTTP/1.1 {status} ")),
        "not {status}: {answer}"
    );
    ensure!(
        head.to_lowercase()
            .contains("content-type: application/problem+json"),
        "no problem+json: {head}"
    );
    let body: Value = serde_json::from_str(body).with_context(|| format!("no JSON: {body}"))?;
    ensure!(
        body["type"] == format!("/problems/{problem}"),
        "not {problem}: {body}"
    );
    ensure!(
        body["status"] == status,
        "another status in the body: {body}"
    );
    ensure!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty()),
        "no detail: {body}"
    );
    ensure!(
        body["retry_safe"].is_boolean(),
        "no word on a retry: {body}"
    );
    Ok(())
}

/// A connection to the shop at this URL.
pub fn connect(url: &str) -> Result<TcpStream> {
    let port = url.rsplit(':').next().context("no port")?.parse()?;
    let stream = TcpStream::connect(ports::local(port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Sends bytes and reads the answer to its end. A server that has answered may stop reading: what could not be sent then
/// is no error.
pub fn exchange(url: &str, request: &[u8]) -> Result<String> {
    let mut stream = connect(url)?;
    let mut reading = stream.try_clone()?;
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        // A reset after the answer takes nothing from what was read.
        let _ = reading.read_to_end(&mut answer);
        answer
    });
    let _ = stream.write_all(request);
    let answer = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
