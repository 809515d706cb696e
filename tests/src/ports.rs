//! Free ports on 127.0.0.1.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};

/// Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux), so that a
/// port found free is not taken by some client's connection before its server binds it.
const FIRST: u32 = 20_000;
const SPAN: u32 = 12_000;

/// How many ports this process has looked at, so that no port is handed out twice.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// A port that nothing listens on, and that this process has not handed out before.
///
/// The port is not reserved: the server binds it a moment later. Processes start their search at places far apart, by
/// their pid, so that two test runs at once do not find the same one.
pub fn free() -> Result<u16> {
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..SPAN {
        let next = LOOKED_AT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + offset.wrapping_add(next) % SPAN) as u16;
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + SPAN)
}

/// Whether a server could bind the port now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(local(port)).is_ok()
}

/// Whether something accepts connections on the port.
pub fn accepts(port: u16) -> bool {
    TcpStream::connect_timeout(&local(port), Duration::from_secs(1)).is_ok()
}

/// 127.0.0.1 with this port.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_the_same() {
        let ports: Vec<u16> = (0..50).map(|_| free().unwrap()).collect();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
    }

    #[test]
    fn a_bound_port_is_not_free() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        assert!(accepts(port));
    }
}
