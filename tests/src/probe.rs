//! The smallest HTTP request there is, to ask a server whether it answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::ports;

const PATIENCE: Duration = Duration::from_secs(2);

/// The status of `GET <path>` on 127.0.0.1, or `None` when there is no HTTP answer within 2 s.
pub fn http_status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&ports::local(port), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    // "HTTP/1.1 200": the status stands at bytes 9 to 11.
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}
