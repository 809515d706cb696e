//! A wire to a server that can be cut without root: whoever reaches the server only through it sees what a partition
//! shows, silence on connections that stand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use anyhow::{Context, Result};

use crate::ports;

/// Passes on to a port of 127.0.0.1 whatever comes to its own, until it is dropped.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

impl Wire {
    /// A wire to the server on this port, which need not run yet.
    pub fn to(server: u16) -> Result<Wire> {
        let port = ports::free()?;
        let listener = TcpListener::bind(ports::local(port))
            .with_context(|| format!("cannot listen on port {port}"))?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, server, &accepting));
        Ok(Wire { port, shared })
    }

    /// The port at which the server is reached through it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts it: nothing passes in either direction, no connection is closed, and new ones get no answer.
    pub fn cut(&self) {
        self.shared.state().cut = true;
    }

    /// Mends it: what was on its way arrives, as it does when packets are sent again after a partition.
    pub fn mend(&self) {
        self.shared.state().cut = false;
        self.shared.changed.notify_all();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        for stream in state.ends.drain(..).filter_map(|end| end.upgrade()) {
            // One that is closed already is as it should be.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // It wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect(ports::local(self.port));
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    closed: bool,
    /// Both ends of every connection that stands.
    ends: Vec<Weak<TcpStream>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it is cut; whether it still passes anything on then.
    fn wait_while_cut(&self) -> bool {
        let state = self
            .changed
            .wait_while(self.state(), |state| state.cut && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }
}

fn accept(listener: &TcpListener, server: u16, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.state().closed {
            return;
        }
        let Ok(client) = client else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // Who cannot be served is hung up on, which is how a server that does not run looks through a wire.
            let _ = connect(client, server, &shared);
        });
    }
}

fn connect(client: TcpStream, server: u16, shared: &Arc<Shared>) -> std::io::Result<()> {
    if !shared.wait_while_cut() {
        return Ok(());
    }
    let ends = [
        Arc::new(client),
        Arc::new(TcpStream::connect(ports::local(server))?),
    ];
    let mut state = shared.state();
    state.ends.retain(|end| end.strong_count() > 0);
    state.ends.extend(ends.iter().map(Arc::downgrade));
    drop(state);
    for end in &ends {
        end.set_nodelay(true)?;
    }
    let [client, server] = ends;
    for (from, to) in [(client.clone(), server.clone()), (server, client)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || pass_on(&from, &to, &shared));
    }
    Ok(())
}

/// Passes on until either end closes, which then closes the other, unless the wire is cut: then nobody hears of it yet.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        if !shared.wait_while_cut() || read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // One that is closed already is as it should be.
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let port = ports::free().unwrap();
        let listener = TcpListener::bind(ports::local(port)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    std::io::copy(&mut &stream, &mut writer)
                });
            }
        });
        port
    }

    fn connect_to(wire: &Wire) -> TcpStream {
        let stream = TcpStream::connect(ports::local(wire.port())).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        stream
    }

    fn hears(stream: &mut TcpStream, what: &[u8]) -> std::io::Result<bool> {
        let mut heard = vec![0; what.len()];
        stream.read_exact(&mut heard)?;
        Ok(heard == what)
    }

    #[test]
    fn nothing_passes_while_it_is_cut_and_all_of_it_when_it_is_mended() {
        let wire = Wire::to(echo()).unwrap();
        let mut old = connect_to(&wire);
        old.write_all(b"before").unwrap();
        assert!(hears(&mut old, b"before").unwrap());

        wire.cut();
        let mut new = connect_to(&wire);
        for stream in [&mut old, &mut new] {
            stream.write_all(b"lost?").unwrap();
            let silence = stream.read(&mut [0; 1]).unwrap_err();
            assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
        }
        wire.mend();
        for stream in [&mut old, &mut new] {
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            assert!(hears(stream, b"lost?").unwrap());
        }
    }

    #[test]
    fn an_end_that_closes_closes_the_other() {
        let wire = Wire::to(ports::free().unwrap()).unwrap();
        let mut nobody = connect_to(&wire);
        nobody
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(nobody.read(&mut [0; 1]).unwrap_or(0), 0);

        let wire = Wire::to(echo()).unwrap();
        let mut stream = connect_to(&wire);
        stream.write_all(b"x").unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert!(hears(&mut stream, b"x").unwrap());
        drop(wire);
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    }
}
